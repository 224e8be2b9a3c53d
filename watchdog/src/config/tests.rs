//! What the variables come to.
#![allow(clippy::unwrap_used)]
use super::*;

fn read(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let pairs = pairs
        .iter()
        .map(|(name, value)| (name.into(), value.into()));
    Config::read([("fprocess".into(), "cat".into())].into_iter().chain(pairs))
}

#[test]
fn unset_variables_have_the_classic_defaults() {
    let config = read(&[]).unwrap();
    assert_eq!((config.port, config.metrics_port), (8080, 8081));
    assert_eq!(config.read_timeout.to_string(), "30s");
    assert_eq!(config.write_timeout.to_string(), "30s");
    assert_eq!(config.exec_timeout.to_string(), "0s");
    assert_eq!(config.healthcheck_interval.to_string(), "30s");
    assert_eq!(config.max_inflight, None);
    assert!(config.cgi_headers && config.combine_output);
    assert!(!config.suppress_lock && !config.marshal_request && !config.write_debug);
    assert!(config.warnings.is_empty());
}

#[test]
fn odd_values_take_the_default_and_a_warning() {
    for (name, value) in [
        ("read_timeout", "soon"),
        ("read_timeout", "-5"),
        ("read_timeout", "1x"),
        ("port", "abc"),
        ("port", "-1"),
        ("max_inflight", "abc"),
        ("max_inflight", "-1"),
    ] {
        let config = read(&[(name, value)]).unwrap();
        assert_eq!(config.read_timeout.to_string(), "30s");
        assert_eq!((config.port, config.max_inflight), (8080, None));
        assert_eq!(config.warnings.len(), 1, "{name}={value}");
        assert!(config.warnings[0].contains(name), "{name}={value}");
    }
}

/// Differs on purpose: of-watchdog listened on a random port, where nobody found it.
#[test]
fn a_port_that_is_no_number_is_the_default_row_215() {
    for mode in ["classic", "streaming"] {
        let config = read(&[("mode", mode), ("port", "abc")]).unwrap();
        assert_eq!((config.port, config.warnings.len()), (8080, 1), "{mode}");
    }
}

// Compat: `cgi_headers=1` and `combine_output=True` switch the feature off.
#[test]
fn only_the_exact_word_true_is_true() {
    let config = read(&[("cgi_headers", "1"), ("combine_output", "True")]).unwrap();
    assert!(!config.cgi_headers && !config.combine_output);
    assert_eq!(config.warnings.len(), 2);
    let config = read(&[("cgi_headers", ""), ("write_debug", "true")]).unwrap();
    assert!(config.cgi_headers && config.write_debug);
}

#[test]
fn the_health_check_interval_follows_the_write_timeout() {
    let config = read(&[("write_timeout", "1m30s")]).unwrap();
    assert_eq!(config.healthcheck_interval.to_string(), "1m30s");
    let config = read(&[("write_timeout", "7"), ("healthcheck_interval", "500ms")]).unwrap();
    assert_eq!(config.healthcheck_interval.to_string(), "500ms");
}

#[test]
fn modes_are_told_apart() {
    let mode = |pairs: &[(&str, &str)]| read(pairs).map(|config| config.mode);
    assert_eq!(mode(&[("mode", "")]), Ok(Mode::Classic));
    for mode_and_name in [
        (Mode::Classic, "classic"),
        (Mode::Streaming, "streaming"),
        (Mode::Serializing, "serializing"),
        (Mode::Static, "static"),
    ] {
        let (expected, name) = mode_and_name;
        assert_eq!(mode(&[("mode", name)]), Ok(expected));
        assert_eq!(mode(&[("watchdog_default_mode", name)]), Ok(expected));
        assert_eq!(expected.to_string(), name);
    }
    let set_and_default = [("mode", "classic"), ("watchdog_default_mode", "http")];
    assert_eq!(mode(&set_and_default), Ok(Mode::Classic));
    for (name, status) in [
        ("htttp", 2),
        ("Streaming", 2),
        ("afterburn", 2),
        ("inproc", 1),
    ] {
        assert_eq!(read(&[("mode", name)]).unwrap_err().exit_status(), status);
    }
}

#[test]
fn other_modes_have_the_other_programs_defaults() {
    let config = read(&[("mode", "streaming")]).unwrap();
    assert_eq!(config.exec_timeout.to_string(), "30s");
    assert_eq!(config.content_type, "application/octet-stream");
    assert!(config.prefix_logs && !config.log_callid && !config.http_buffer_req_body);
    assert_eq!(config.log_buffer_size, 131_072);
    assert_eq!(config.static_path, PathBuf::from("/home/app/public"));
    assert!(config.ready_path.is_none() && config.warnings.is_empty());
    let config = read(&[("mode", "streaming"), ("exec_timeout", "soon")]).unwrap();
    assert_eq!(config.exec_timeout.to_string(), "30s");
    assert_eq!(config.warnings.len(), 1);
}

#[test]
fn other_modes_have_the_other_programs_spellings() {
    let switches = [
        ("mode", "streaming"),
        ("suppress_lock", "1"),
        ("buffer_http", "1"),
    ];
    let config = read(&switches).unwrap();
    assert!(config.suppress_lock && config.http_buffer_req_body);
    assert!(!read(&[("suppress_lock", "1")]).unwrap().suppress_lock);
    for (value, expected, warnings) in [("F", false, 0), ("0", false, 0), ("maybe", true, 1)] {
        let config = read(&[("mode", "streaming"), ("prefix_logs", value)]).unwrap();
        assert_eq!(
            (config.prefix_logs, config.warnings.len()),
            (expected, warnings)
        );
    }
    for (value, expected, warnings) in [("100", 100, 0), ("-1", 1 << 20, 0), ("0", 131_072, 1)] {
        let config = read(&[("mode", "streaming"), ("log_buffer_size", value)]).unwrap();
        assert_eq!(
            (config.log_buffer_size, config.warnings.len()),
            (expected, warnings)
        );
    }
}

#[test]
fn the_first_of_two_names_wins_even_when_empty() {
    let two = [("mode", "streaming"), ("function_process", "wc -c")];
    assert_eq!(read(&two).unwrap().fprocess, "wc -c");
    assert_eq!(read(&two[1..]).unwrap().fprocess, "cat");
    let empty = [("mode", "streaming"), ("function_process", "")];
    assert_eq!(read(&empty).unwrap_err(), ConfigError::NoFunctionProcess);
    let urls = [
        ("mode", "http"),
        ("http_upstream_url", "http://127.0.0.1:1"),
        ("upstream_url", "http://127.0.0.1:2"),
    ];
    let url = read(&urls).unwrap().upstream_url.unwrap();
    assert_eq!(url.port_u16(), Some(1));
}

#[test]
fn some_mistakes_cannot_be_lived_with() {
    for pairs in [
        &[("mode", "http")][..],
        &[("mode", "http"), ("upstream_url", "127.0.0.1:3000")],
        &[
            ("mode", "http"),
            ("http_upstream_url", ""),
            ("upstream_url", "http://a:1"),
        ],
        &[("mode", "static"), ("static_path", "")],
        &[("mode", "streaming"), ("write_timeout", "0")],
        &[("mode", "serializing"), ("log_buffer_size", "abc")],
        &[("ready_path", "/a b")],
        &[("prefork", "2")],
        &[
            ("prefork", "2"),
            ("cgi_headers", "false"),
            ("mode", "streaming"),
        ],
    ] {
        assert_eq!(read(pairs).unwrap_err().exit_status(), 1, "{pairs:?}");
    }
    assert!(read(&[("log_buffer_size", "abc"), ("write_timeout", "0")]).is_ok());
    let config = read(&[("prefork", "2"), ("cgi_headers", "false")]).unwrap();
    assert_eq!(config.prefork, 2);
}

#[test]
fn functions_do_not_see_our_own_switch() {
    let config = read(&[("metrics_port", "0"), ("port", "9")]).unwrap();
    assert!(config.environment.get("metrics_port").is_none());
    assert!(config.environment.get("port").is_some());
}
