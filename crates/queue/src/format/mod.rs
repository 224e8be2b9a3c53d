//! Calls, answers and callbacks in envelopes: version 2, which is written, and version 1, the original's JSON, which is
//! read.

mod parts;
mod v1;
mod v2;

pub use v1::decode as decode_v1;
pub use v2::{
    decode_answer, decode_call, decode_callback, encode_answer, encode_call, encode_callback,
};
