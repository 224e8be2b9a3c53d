//! gRPC through every hop: a caller of HTTP/2, the gateway, the watchdog, and a function that speaks nothing else.

use bytes::Bytes;
use h2::RecvStream;
use http::{HeaderMap, Request, Response};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::endings::readable;
use crate::http2_caller::{Caller, whole};
use crate::support::{Local, soon};

/// `Unary` answers with what it saw; `Stream` sends a message, and another one each time that `Next` is called, three in
/// all; `Fail` has nothing but a status.
const SERVER: &str = r#"
const begin = { ":status": 200, "content-type": "application/grpc" };
let next;

function framed(text) {
  const frame = Buffer.alloc(5);
  frame.writeUInt32BE(Buffer.byteLength(text), 1);
  return Buffer.concat([frame, Buffer.from(text)]);
}

function answer(stream, trailers) {
  stream.respond(begin, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers(trailers));
}

const methods = {
  Unary(stream, headers) {
    const pieces = [];
    stream.on("data", (piece) => pieces.push(piece));
    stream.on("end", () => {
      const asked = Buffer.concat(pieces).subarray(5).toString();
      const sum = Buffer.from("five").toString("base64");
      answer(stream, { "grpc-status": "0", "grpc-message": "fine", "x-sum-bin": sum });
      stream.end(framed(`${asked} ${headers[":path"]} ${headers["te"]} ${headers["x-key-bin"]}`));
    });
  },
  Stream(stream, headers) {
    let count = 0;
    answer(stream, { "grpc-status": headers["x-wanted"] });
    next = () => {
      stream.write(framed(`message ${++count}`));
      if (count == 3) stream.end();
    };
    next();
  },
  Next(stream) {
    next();
    answer(stream, { "grpc-status": "0" });
    stream.end();
  },
  Fail(stream) {
    const status = { "grpc-status": "5", "grpc-message": "no%20such%20thing" };
    stream.respond({ ...begin, ...status }, { endStream: true });
  },
};

const server = require("node:http2").createServer();
server.on("stream", (stream, headers) => {
  methods[headers[":path"].split("/").pop()](stream, headers);
});
server.listen(process.argv[2], "127.0.0.1");
"#;

/// The platform with that function, and a caller's connection to the gateway.
async fn serving() -> (Local, Caller) {
    let local = Local::start().await;
    std::fs::write(local.home.path().join("functions/grpc.js"), SERVER).unwrap();
    readable(&local);
    let body = json!({
        "service": "grpc",
        "image": "grpc",
        "envProcess": "node grpc.js $PORT",
        "envVars": {"mode": "http", "upstream_url": "http://127.0.0.1:$PORT", "upstream_protocol": "h2c"},
    });
    let (status, words) = local.send(Method::POST, "/system/functions", body).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{words}");
    local.available("grpc", 1).await;
    let address = local.url.strip_prefix("http://").unwrap();
    let caller = Caller::to(address.parse().unwrap()).await;
    (local, caller)
}

fn framed(text: &str) -> Bytes {
    let length = u32::try_from(text.len()).unwrap().to_be_bytes();
    [&[0], length.as_slice(), text.as_bytes()].concat().into()
}

fn request(method: &str) -> http::request::Builder {
    Request::post(format!(
        "http://localhost/function/grpc/example.Words/{method}"
    ))
    .header("content-type", "application/grpc")
    .header("te", "trailers")
}

/// One call with one message, which is all that the caller has to say.
async fn call(caller: &Caller, request: http::request::Builder) -> Response<RecvStream> {
    let (answer, mut asking) = caller.send(request.body(()).unwrap(), false).await;
    asking.send_data(framed("hello"), true).unwrap();
    let answer = soon("an answer", answer).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/grpc");
    answer
}

async fn message(body: &mut RecvStream) -> Bytes {
    let message = soon("a message", body.data()).await.unwrap().unwrap();
    body.flow_control().release_capacity(message.len()).unwrap();
    message
}

async fn trailers(mut body: RecvStream) -> HeaderMap {
    assert!(soon("the last message", body.data()).await.is_none());
    soon("trailers", body.trailers()).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_call_with_one_answer_ends_with_its_status() {
    let (_local, caller) = serving().await;
    let request = request("Unary").header("x-key-bin", "a2V5");
    let mut body = call(&caller, request).await.into_body();
    let expected = framed("hello /example.Words/Unary trailers a2V5");
    assert_eq!(message(&mut body).await, expected);
    let trailers = trailers(body).await;
    assert_eq!(trailers["grpc-status"], "0");
    assert_eq!(trailers["grpc-message"], "fine");
    assert_eq!(trailers["x-sum-bin"], "Zml2ZQ==");
}

#[tokio::test]
async fn each_message_of_many_arrives_before_the_next_is_made() {
    let (_local, caller) = serving().await;
    // Also a call that fails after all may have sent messages before.
    for wanted in ["0", "13"] {
        let request = request("Stream").header("x-wanted", wanted);
        let mut body = call(&caller, request).await.into_body();
        assert_eq!(message(&mut body).await, framed("message 1"));
        for expected in ["message 2", "message 3"] {
            let next = self::request("Next").body(()).unwrap();
            let (_, text, trailers) = whole(caller.send(next, true).await.0).await;
            assert_eq!(text, "");
            assert_eq!(trailers["grpc-status"], "0");
            assert_eq!(message(&mut body).await, framed(expected));
        }
        assert_eq!(trailers(body).await["grpc-status"], wanted);
    }
}

/// The status stands in the head then, and callers believe it only where the head is all.
#[tokio::test]
async fn a_status_without_a_message_is_all_of_the_answer() {
    let (_local, caller) = serving().await;
    let (head, mut body) = call(&caller, request("Fail")).await.into_parts();
    assert_eq!(head.headers["grpc-status"], "5");
    assert_eq!(head.headers["grpc-message"], "no%20such%20thing");
    assert!(body.is_end_stream(), "nothing follows the head");
    assert!(soon("the end", body.data()).await.is_none());
}
