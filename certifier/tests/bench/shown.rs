//! Two gateways side by side, and what is told of them.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

use axum::http::StatusCode;
use certifier::bench::{Load, Measured};
use serde_json::Value;

use crate::upstream::{Seen, load, measure, upstream};

/// Everything that a picture tells: its root, its curves, its texts.
const READ_SVG: &str = "
import json, sys, xml.etree.ElementTree as tree
root = tree.fromstring(sys.stdin.buffer.read())
name = '{http://www.w3.org/2000/svg}'
print(json.dumps({'root': root.tag == name + 'svg',
                  'curves': [line.get('points').split() for line in root.iter(name + 'polyline')],
                  'texts': [text.text for text in root.iter(name + 'text')]}))
";

fn read_svg(svg: &str) -> Value {
    let mut child = Command::new("/usr/bin/python3")
        .args(["-c", READ_SVG])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(svg.as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{svg}");
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn two(seen: &Arc<Seen>, load: Load) -> (Measured, [String; 2]) {
    let a = upstream("a", seen, async |_| StatusCode::OK).await;
    let b = upstream("b", seen, async |_| StatusCode::OK).await;
    let measured = measure(&[&a, &b], load).await.unwrap();
    (measured, [a, b])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_gateways_are_called_in_turns_and_take_turns_to_begin() {
    let seen: Arc<Seen> = Arc::default();
    let load = Load {
        turns: 4,
        ..load(200.0, 0.2)
    };
    let (measured, _) = two(&seen, load).await;
    assert!(measured.success(), "{measured}");
    let calls = seen.calls.lock().unwrap();
    // The first call of each only shows that the function is there.
    let mut order: Vec<_> = calls.iter().skip(2).map(|(name, _)| *name).collect();
    assert_eq!(order.len(), 80);
    order = order
        .chunks(10)
        .map(|turn| {
            assert!(
                turn.iter().all(|name| name == &turn[0]),
                "turns overlap: {turn:?}"
            );
            turn[0]
        })
        .collect();
    assert_eq!(order, ["a", "b", "b", "a", "a", "b", "b", "a"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_are_told_as_text_as_json_and_as_a_picture() {
    let load = Load {
        body: b"hello".to_vec(),
        path: "/a?b=c&d=%3C".to_owned(),
        ..load(500.0, 0.4)
    };
    let (measured, urls) = two(&Arc::default(), load).await;

    let text = measured.to_string();
    for part in [
        &urls[0],
        &urls[1],
        "ratio",
        "calls due",
        "200",
        "POST with 5 bytes",
        "99 %",
        "longest",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(
        !text.contains("99.9 %"),
        "200 calls tell nothing of it: {text}"
    );

    let json: Value = serde_json::from_str(&measured.to_json().to_string()).unwrap();
    assert_eq!(json["success"], true);
    assert_eq!(json["load"]["body_bytes"], 5);
    for (side, url) in json["sides"].as_array().unwrap().iter().zip(&urls) {
        assert_eq!(side["url"], **url);
        assert_eq!(
            (&side["due"], &side["statuses"]["200"]),
            (&200.into(), &200.into())
        );
        let latencies = side["latencies"].as_array().unwrap();
        let seconds = latencies
            .iter()
            .map(|line| line["seconds"].as_f64().unwrap());
        let seconds: Vec<_> = seconds.collect();
        assert!(seconds[0] > 0.0 && seconds.is_sorted(), "{seconds:?}");
    }
    let ratio = json["ratios"][0]["ratio"].as_f64().unwrap();
    // Read back from JSON, the last bit may be another.
    assert!((measured.ratio(0.5).unwrap() - ratio).abs() < 1e-9 * ratio);
    assert!(ratio > 0.0);

    let picture = read_svg(&measured.to_svg());
    assert_eq!(picture["root"], true);
    let curves = picture["curves"].as_array().unwrap();
    assert_eq!(curves.len(), 2);
    assert!(
        curves
            .iter()
            .all(|curve| curve.as_array().unwrap().len() > 100)
    );
    let texts = picture["texts"].to_string();
    for part in [
        &urls[0],
        &urls[1],
        "99 %",
        "Latency of echo",
        "calls a second",
    ] {
        assert!(texts.contains(part), "{part} in {texts}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_of_nothing_is_still_one() {
    let url = upstream("never", &Arc::default(), async |number| match number {
        0 => StatusCode::OK,
        _ => std::future::pending().await,
    })
    .await;
    let load = Load {
        timeout: std::time::Duration::from_millis(20),
        ..load(10.0, 0.1)
    };
    let measured = measure(&[&url], load).await.unwrap();
    let picture = read_svg(&measured.to_svg());
    assert_eq!(picture["curves"].as_array().unwrap().len(), 1);
    assert!(picture["texts"].to_string().contains("1 failed"));
}
