//! What a replica sees of the machine, and what it does not.

use crate::support::{Provider, output, run, shell};

#[tokio::test]
async fn a_program_runs_with_the_listener_as_its_standard_input() {
    let provider = Provider::new();
    let sandbox = provider.detect().await;
    println!("{}", sandbox.capabilities());
    let (said, exit) = run(&sandbox, shell("readlink /proc/self/fd/0; exit 3")).await;
    assert!(said.starts_with("socket:"), "{said}");
    assert_eq!(exit.status.code(), Some(3));
}

#[tokio::test]
async fn the_environment_is_what_the_spec_says_and_nothing_else() {
    let provider = Provider::new();
    let sandbox = provider.detect().await;
    let mut spec = shell("exec cat /proc/self/environ");
    spec.env = vec![
        ("A".to_owned(), "b c".to_owned()),
        ("PATH".to_owned(), "/usr/bin".to_owned()),
    ];
    let (said, _) = run(&sandbox, spec).await;
    let mut said: Vec<&str> = said.split_terminator('\0').collect();
    said.sort();
    // PWD is the shell's own.
    assert_eq!(said, ["A=b c", "PATH=/usr/bin", "PWD=/"]);
}

#[tokio::test]
async fn a_replica_sees_its_own_processes_only() {
    let provider = Provider::new();
    let sandbox = provider.detect().await;
    let count: usize = output(&sandbox, "ls -d /proc/[0-9]* | wc -l")
        .await
        .trim()
        .parse()
        .unwrap();
    assert!(count <= 4, "{count} processes");
}

#[tokio::test]
async fn temporary_directories_are_private_and_writable() {
    let provider = Provider::new();
    let sandbox = provider.detect().await;
    for dir in ["/tmp", "/var/tmp", "/dev/shm"] {
        let left = format!("{dir}/left-by-a-replica");
        let script = format!("ls -A {dir}; echo here > {left} && cat {left}");
        let said = output(&sandbox, &script).await;
        let listed = said
            .strip_suffix("here\n")
            .unwrap_or_else(|| panic!("{dir}: {said}"));
        // The functions directory of this test lies in /tmp, and is all there is.
        let functions = provider.path("").to_string_lossy().into_owned();
        assert!(
            listed.lines().all(|name| functions.contains(name)),
            "{dir}: {listed}"
        );
        assert!(!std::path::Path::new(&left).exists());
    }
}

#[tokio::test]
async fn home_and_the_providers_data_are_hidden_and_functions_are_not() {
    for provider in [Provider::new(), Provider::outside_tmp()] {
        let sandbox = provider.detect().await;
        let home = provider.path("home");
        let script = format!("cd {} && find . -type f -exec cat {{}} +", home.display());
        assert_eq!(
            output(&sandbox, &script).await,
            "hello",
            "{}",
            home.display()
        );
    }
}

#[tokio::test]
async fn hidden_paths_are_hidden_wherever_they_lie() {
    let mut provider = Provider::outside_tmp();
    std::fs::write(provider.path("password"), "private").unwrap();
    std::fs::create_dir(provider.path("records")).unwrap();
    std::fs::write(provider.path("records/secret"), "private").unwrap();
    provider
        .config
        .hidden
        .extend([provider.path("password"), provider.path("records")]);
    let sandbox = provider.detect().await;
    let script = format!(
        "cd {} && cat password && ls records && echo seen",
        provider.path("").display()
    );
    assert_eq!(output(&sandbox, &script).await, "seen\n");
}

#[tokio::test]
async fn a_functions_directory_that_is_the_home_directory_is_seen() {
    let mut provider = Provider::new();
    provider.config.read_only_dirs = vec![provider.path("home")];
    let sandbox = provider.detect().await;
    let script = format!(
        "cd {} && find . -type f -exec cat {{}} +",
        provider.path("home").display()
    );
    let said = output(&sandbox, &script).await;
    assert!(said.contains("private") && said.contains("hello"), "{said}");
    assert!(!said.contains("records"), "{said}");
}

#[tokio::test]
async fn a_functions_directory_named_by_a_link_is_found_there() {
    let mut provider = Provider::new();
    let link = provider.path("link");
    std::os::unix::fs::symlink(provider.path("home/functions"), &link).unwrap();
    provider.config.read_only_dirs = vec![link.clone()];
    let sandbox = provider.detect().await;
    let mut spec = shell("cat hello.txt");
    spec.cwd = link;
    assert_eq!(run(&sandbox, spec).await.0, "hello");
}

#[tokio::test]
async fn the_functions_directory_cannot_be_written_even_where_its_mode_allows_it() {
    let provider = Provider::new();
    let functions = provider.path("home/functions");
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&functions, std::fs::Permissions::from_mode(0o777)).unwrap();
    let sandbox = provider.detect().await;
    let mut spec = shell("cat hello.txt; echo x > new");
    spec.cwd = functions;
    let (said, _) = run(&sandbox, spec).await;
    assert!(
        said.starts_with("hello") && said.contains("Read-only file system"),
        "{said}"
    );
}

#[tokio::test]
async fn run_holds_no_secrets_and_no_sockets_of_the_machine() {
    let provider = Provider::new();
    let sandbox = provider.detect().await;
    // Links lead nowhere but to what is shown anyway; files are those of name resolution.
    let said = output(
        &sandbox,
        "find /run -type s -o -type p; ls -d /run/secrets /run/lock",
    )
    .await;
    assert_eq!(said.matches("No such file").count(), 2, "{said}");
    assert_eq!(said.lines().count(), 2, "{said}");
}

#[tokio::test]
async fn secrets_are_readable_not_writable_and_nobody_elses() {
    let provider = Provider::new();
    let sandbox = provider.detect().await;
    let mut other = shell("read wait");
    other.secrets = vec![("other".to_owned(), b"b".to_vec())];
    let _other = crate::support::start(&sandbox, other).await;

    let mut spec =
        shell("cd /var/openfaas/secrets && ls && cat key && echo x > key; rm -f key; touch new");
    spec.secrets = vec![("key".to_owned(), b"a\n".to_vec())];
    let (said, _) = run(&sandbox, spec).await;
    let mut lines = said.lines();
    assert_eq!(
        (lines.next(), lines.next()),
        (Some("key"), Some("a")),
        "{said}"
    );
    assert_eq!(lines.count(), 3, "three refusals: {said}");
    assert!(!std::path::Path::new("/var/openfaas/secrets/key").exists());
}

#[tokio::test]
async fn a_secret_cannot_be_written_elsewhere_by_its_name() {
    let provider = Provider::new();
    let sandbox = provider.detect().await;
    for name in ["../key", "/etc/key", "..", ""] {
        let mut spec = shell("true");
        spec.secrets = vec![(name.to_owned(), Vec::new())];
        let refused = sandbox
            .start(spec, crate::support::listener())
            .await
            .unwrap_err();
        assert!(
            refused.to_string().contains("not a plain file name"),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn a_program_has_its_own_user_no_groups_and_no_capabilities() {
    let provider = Provider::new();
    let sandbox = provider.detect().await;
    let said = output(
        &sandbox,
        "id -u; id -G; grep -E 'Cap|NoNewPrivs' /proc/self/status",
    )
    .await;
    let uid = crate::support::FUNCTION_UID;
    assert!(said.starts_with(&format!("{uid}\n{uid}\n")), "{said}");
    assert!(said.contains("NoNewPrivs:\t1"), "{said}");
    assert_eq!(said.matches("0000000000000000").count(), 5, "{said}");
}

#[tokio::test]
async fn nothing_but_standard_streams_is_inherited() {
    let provider = Provider::new();
    // A descriptor without close-on-exec, as a careless parent of the provider leaves it.
    let careless = std::fs::File::open("/etc/hostname").unwrap();
    let flags = nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty());
    nix::fcntl::fcntl(&careless, flags).unwrap();
    let sandbox = provider.detect().await;
    let (said, _) = run(&sandbox, shell("exec ls -l /proc/self/fd")).await;
    // The listing itself opens one more.
    assert_eq!(said.lines().count(), 1 + 3 + 1, "{said}");
}

#[tokio::test]
async fn a_read_only_root_leaves_temporary_directories_writable() {
    let provider = Provider::new();
    let sandbox = provider.detect().await;
    // As root, or the modes of files would say no before the mounts do.
    let mut spec = shell(
        "for dir in / /etc /usr /var /var/lib /run /sys /root; do touch $dir/x 2>/dev/null && echo $dir; done; \
         for dir in /tmp /var/tmp /dev/shm; do touch $dir/x || echo $dir; done",
    );
    spec.uid = None;
    spec.read_only_root = true;
    assert_eq!(run(&sandbox, spec).await.0, "");
}

#[tokio::test]
async fn root_without_another_user_cannot_write_what_is_roots() {
    let mut provider = Provider::new();
    provider.config.allowed.own_uid = false;
    let sandbox = provider.detect().await;
    let said = output(
        &sandbox,
        "id -u; touch /etc/x; grep CapEff /proc/self/status; \
         find /dev -type b; cat /proc/sys/kernel/core_pattern > /proc/sys/kernel/core_pattern; \
         echo fine > /dev/null && head -c 1 /dev/zero | wc -c",
    )
    .await;
    assert!(said.starts_with("0\n"), "{said}");
    assert_eq!(said.matches("Read-only file system").count(), 2, "{said}");
    assert!(said.contains("0000000000000000"), "{said}");
    assert!(!said.contains("/dev/") && said.contains("\n1\n"), "{said}");
}

#[tokio::test]
async fn a_failure_inside_is_told_in_words() {
    let provider = Provider::new();
    let sandbox = provider.detect().await;
    let mut spec = shell("true");
    spec.cwd = "/no/such/directory".into();
    let refused = sandbox
        .start(spec, crate::support::listener())
        .await
        .unwrap_err();
    let expected = "starting the program in /no/such/directory: No such file or directory";
    assert_eq!(refused.to_string(), expected);
}
