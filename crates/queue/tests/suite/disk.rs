//! The embedded back-end alone: its file, its lock, its version, its speed in company.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::Arc;

use faas_queue::embedded::{Limits, OpenError};
use faas_queue::{Embedded, Error, InvocationId, Queue};
use redb::{Database, TableDefinition};

use crate::small::Small;
use crate::support::*;

fn open(directory: &std::path::Path) -> Result<Embedded, OpenError> {
    Embedded::open(directory, Limits::default())
}

#[tokio::test]
async fn one_process_at_a_time_and_the_second_is_told_so() {
    let directory = tempfile::tempdir().unwrap();
    let _first = open(directory.path()).unwrap();
    let error = open(directory.path()).err().unwrap();
    assert!(matches!(error, OpenError::InUse(_)));
    let line = error.to_string();
    assert!(
        line.starts_with("data_dir: ") && line.contains("in use by another program"),
        "{line}"
    );
    assert!(!line.contains('\n'));
}

#[tokio::test]
async fn the_file_is_its_owners_only() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("data");
    let _queue = open(&place).unwrap();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode(&place), mode(&place.join("queue.redb"))),
        (0o700, 0o600)
    );
}

#[tokio::test]
async fn a_store_of_a_newer_program_is_refused_in_a_line_and_left_alone() {
    const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
    let directory = tempfile::tempdir().unwrap();
    drop(opened(directory.path()).await);
    let path = directory.path().join("queue.redb");
    let format = |set: Option<u64>| async move {
        soon("the file to be free", async {
            loop {
                if let Ok(database) = Database::create(&path) {
                    let transaction = database.begin_write().unwrap();
                    let mut meta = transaction.open_table(META).unwrap();
                    if let Some(version) = set {
                        meta.insert("format", version).unwrap();
                    }
                    let version = redb::ReadableTable::get(&meta, "format")
                        .unwrap()
                        .unwrap()
                        .value();
                    drop(meta);
                    transaction.commit().unwrap();
                    return version;
                }
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        })
        .await
    };
    assert_eq!(format.clone()(Some(3)).await, 3);
    let line = open(directory.path()).err().unwrap().to_string();
    assert!(
        line.contains("is of version 3") && line.contains("up to version 2"),
        "{line}"
    );
    assert!(!line.contains('\n'));
    assert_eq!(format(None).await, 3);
}

#[tokio::test]
async fn a_file_that_is_not_ours_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("queue.redb");
    std::fs::write(&path, "somebody else's").unwrap();
    let line = open(directory.path()).err().unwrap().to_string();
    assert!(line.starts_with("data_dir: "), "{line}");
    assert_eq!(std::fs::read(&path).unwrap(), b"somebody else's");
}

#[tokio::test]
async fn many_callers_share_a_sync_and_none_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let queue = Arc::new(open(directory.path()).unwrap());
    let callers: Vec<_> = (0..64)
        .map(|_| {
            let queue = Arc::clone(&queue);
            tokio::spawn(async move {
                for _ in 0..10 {
                    accept_one(&*queue).await;
                }
            })
        })
        .collect();
    for caller in callers {
        soon("the callers", caller).await.unwrap();
    }
    drop(queue);
    let queue = opened(directory.path()).await;
    assert_eq!(books(&queue).await.waiting, 640);
}

const CHILD: &str = "QUEUE_OF_A_CHILD";

/// Not a test: what [`a_killed_process_loses_no_call_that_it_accepted`] starts and kills.
#[tokio::test]
#[ignore = "a process that another test starts and kills"]
async fn accept_until_killed() {
    let directory = std::env::var_os(CHILD).unwrap();
    let queue = open(std::path::Path::new(&directory)).unwrap();
    let accepting = (0..8).map(|_| async {
        loop {
            let id = accept_one(&queue).await.id;
            println!("accepted {id}");
        }
    });
    futures_util::future::join_all(accepting).await;
}

#[tokio::test]
async fn a_killed_process_loses_no_call_that_it_accepted() {
    let directory = tempfile::tempdir().unwrap();
    let mut accepted = Vec::new();
    for round in 1..=3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--ignored",
                "--exact",
                "disk::accept_until_killed",
                "--nocapture",
            ])
            .env(CHILD, directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ids = lines.map_while(Result::ok).filter_map(|line| {
            let id = line.split_once("accepted ")?.1;
            id.parse::<InvocationId>().ok()
        });
        accepted.extend(ids.take(40 * round));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let queue = opened(directory.path()).await;
    for id in &accepted {
        assert!(
            queue.status(*id).await.unwrap().is_some(),
            "{id} was accepted and is lost"
        );
    }
    assert_eq!(accepted.len(), 240);
    assert!(books(&queue).await.waiting >= 240);
}

#[tokio::test]
async fn a_full_disk_refuses_calls_and_loses_none_and_is_used_again_once_there_is_room() {
    let disk = Small::mount("24m");
    let filler = disk.path().join("filler");
    std::fs::write(&filler, vec![0; 12 << 20]).unwrap();
    let queue = open(disk.path()).unwrap();
    let large = || {
        let mut large = call(FUNCTION);
        large.body = vec![7; 100_000].into();
        large
    };
    let mut accepted = Vec::new();
    let refused = loop {
        let call = large();
        match queue.accept(new(call.clone())).await {
            Ok(_) => accepted.push(call),
            Err(error) => break error,
        }
        assert!(accepted.len() < 1000, "the disk does not fill up");
    };
    assert!(matches!(refused, Error::Unavailable(_)), "{refused}");
    assert!(queue.trouble().is_some());
    assert!(accepted.len() > 10, "{}", accepted.len());

    std::fs::remove_file(&filler).unwrap();
    accepted.push(accept(&queue, large()).await);
    assert_eq!(queue.trouble(), None);
    let taken = take(&queue, FUNCTION, 1000).await;
    let came: Vec<_> = taken.iter().map(|taken| taken.call().unwrap()).collect();
    assert_eq!(came, accepted);
    books(&queue).await;
}
