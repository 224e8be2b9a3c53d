//! The reports for machines, read by parsers that are not ours.
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use certifier::{Exchange, Failure, Line, Report, Rule, Verdict, rules};
use serde_json::{Value, json};

/// Everything that means something to XML, to TAP or to a terminal.
const NASTY: &str =
    "a <b> & \"c\" 'd' ]]> # SKIP\n\u{0}\u{1b}[31m\u{7f}\u{85}\u{fffe} ü\n1..9\nok 7\n";

fn line(rule: Rule, namespace: Option<&str>, verdict: Verdict) -> Line {
    Line {
        rule,
        namespace: namespace.map(str::to_owned),
        verdict,
        elapsed: Duration::from_millis(1250),
        round: 1,
        exchanges: Vec::new(),
        left_out: 0,
    }
}

/// One of each verdict.
fn report() -> Report {
    let rules = rules();
    let failure = Failure {
        expected: NASTY.into(),
        got: NASTY.into(),
        sent: NASTY.into(),
        received: NASTY.into(),
    };
    let exchange = Exchange {
        at: Duration::from_millis(5),
        sent: NASTY.into(),
        received: NASTY.into(),
        took: Duration::from_millis(7),
    };
    let failed = Line {
        exchanges: vec![exchange.clone(), exchange],
        left_out: 3,
        ..line(rules[1], Some("openfaas-fn"), Verdict::Failed(failure))
    };
    Report {
        url: "http://127.0.0.1:8080".into(),
        lines: vec![
            line(rules[0], None, Verdict::Passed),
            failed,
            line(
                rules[2],
                Some("b"),
                Verdict::Skipped("not \"claimed\" <x>\n& so".into()),
            ),
        ],
        claims: Vec::new(),
        elapsed: Duration::from_secs(2),
    }
}

/// What a program prints that reads `input`.
fn read_by(program: &str, arguments: &[&str], input: &str) -> String {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{input}");
    String::from_utf8(output.stdout).unwrap()
}

const READ_XML: &str = "
import json, sys, xml.etree.ElementTree as tree
root = tree.fromstring(sys.stdin.buffer.read())
cases = [{'name': case.get('name'), 'class': case.get('classname'), 'time': case.get('time'),
          'inside': {part.tag: [part.get('message'), part.text] for part in case}}
         for case in root.iter('testcase')]
print(json.dumps({'tag': root.tag, 'sums': dict(root.attrib), 'cases': cases,
                  'suites': [suite.attrib for suite in root.findall('testsuite')]}))
";

#[test]
fn junit_is_xml_that_says_what_the_report_says() {
    let read = read_by("/usr/bin/python3", &["-c", READ_XML], &report().to_junit());
    let read: Value = serde_json::from_str(&read).unwrap();
    assert_eq!(read["tag"], "testsuites");
    for (sum, wanted) in [
        ("tests", "3"),
        ("failures", "1"),
        ("skipped", "1"),
        ("errors", "0"),
    ] {
        assert_eq!(read["sums"][sum], wanted, "{sum}");
    }
    let suites = read["suites"].as_array().unwrap();
    let tests = suites
        .iter()
        .map(|suite| suite["tests"].as_str().unwrap().parse::<u32>().unwrap());
    assert_eq!(tests.sum::<u32>(), 3);

    let cases = read["cases"].as_array().unwrap();
    let inside = |tag: &str| {
        let mut found = cases.iter().filter(|case| !case["inside"][tag].is_null());
        let case = found.next().unwrap();
        assert!(found.next().is_none());
        case
    };
    let failed = inside("failure");
    assert_eq!(failed["name"], format!("{} in openfaas-fn", rules()[1].id));
    assert_eq!(failed["time"], "1.250");
    for text in failed["inside"]["failure"].as_array().unwrap() {
        let text = text.as_str().unwrap();
        assert!(text.contains("a <b> & \"c\" 'd' ]]> # SKIP\n"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }
    let skipped = inside("skipped");
    assert_eq!(skipped["inside"]["skipped"][0], "not \"claimed\" <x>\n& so");
}

const READ_TAP: &str = "
my $tap = do { local $/; <STDIN> };
my $parser = TAP::Parser->new({tap => $tap});
$parser->run;
print join(' ', 'planned', $parser->tests_planned, 'ran', $parser->tests_run, 'failed', $parser->failed,
           'skipped', $parser->skipped, 'errors', scalar($parser->parse_errors)), qq{\\n};
";

#[test]
fn tap_is_tap_that_says_what_the_report_says() {
    let read = read_by(
        "perl",
        &["-MTAP::Parser", "-e", READ_TAP],
        &report().to_tap(),
    );
    assert_eq!(read, "planned 3 ran 3 failed 2 skipped 3 errors 0\n");
}

#[test]
fn json_has_the_members_that_are_promised() {
    let report = report().to_json();
    assert_eq!(report["version"], 1);
    assert_eq!(report["success"], false);
    assert_eq!(report["could_run"], true);
    let counts = ["passed", "failed", "skipped"].map(|word| report[word].clone());
    assert_eq!(counts, [1, 1, 1].map(|count| json!(count)));
    let checks = report["checks"].as_array().unwrap();
    for check in checks {
        for member in ["id", "group", "level", "case", "says", "source", "result"] {
            assert!(check[member].is_string(), "{member} in {check}");
        }
        assert!(check["seconds"].is_f64() && check["round"] == 1, "{check}");
    }
    assert_eq!(checks[0]["namespace"], Value::Null);
    assert_eq!(checks[1]["expected"], NASTY);
    assert_eq!(checks[1]["exchanges"][1]["at_seconds"], 0.005);
    assert_eq!(checks[1]["exchanges_left_out"], 3);
    assert_eq!(checks[2]["reason"], "not \"claimed\" <x>\n& so");
}
