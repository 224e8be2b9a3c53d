//! What follows the function's name: path and query, to the byte.

use hyper::Method;

use super::seen::seen;
use crate::capability::Capability;
use crate::check::{Check, Family};
use crate::failure::Outcome;
use crate::rule::{Group, Level};
use crate::target::Target;

const SDK: Family = Family::new(
    Group::Path,
    Level::Standard,
    "provider SDK, proxy: the function gets what follows its name, and / if nothing does",
);

const RAW: Family = Family::new(
    Group::Path,
    Level::Standard,
    "RFC 3986, section 2.2: a reserved character and its encoding are not the same",
);

/// The id, what is claimed, what is asked for after the function's name, and the path that the function gets.
type Case = (&'static str, &'static str, &'static str, &'static str);

const PATHS: [Case; 4] = [
    (
        "path.none",
        "A call of /function/NAME reaches the function with the path /.",
        "",
        "/",
    ),
    (
        "path.slash",
        "A call of /function/NAME/ reaches the function with the path /.",
        "/",
        "/",
    ),
    (
        "path.rest",
        "What follows the name is the function's path, with a slash at its end.",
        "/a/b.c/",
        "/a/b.c/",
    ),
    (
        "path.blanks",
        "A path with an encoded blank reaches the function with it.",
        "/a%20b",
        "/a%20b",
    ),
];

const RAW_PATHS: [Case; 4] = [
    (
        "path.encoded-slash",
        "%2F in the path stays %2F.",
        "/a%2Fb",
        "/a%2Fb",
    ),
    (
        "path.encoded",
        "%3F, %25, + and %C3%A9 in the path stay what they are.",
        "/%3F/%25/+/%C3%A9",
        "/%3F/%25/+/%C3%A9",
    ),
    (
        "path.case",
        "The path keeps its upper and lower case.",
        "/Upper/lower",
        "/Upper/lower",
    ),
    (
        "path.double-slash",
        "A double slash in the path is forwarded, and neither cleaned nor redirected.",
        "/a//b",
        "/a//b",
    ),
];

const QUERIES: [Case; 3] = [
    (
        "path.query-repeats",
        "A parameter that is given twice reaches the function twice, in order.",
        "?a=2&a=1&b",
        "a=2&a=1&b",
    ),
    (
        "path.query-encoded",
        "%20, +, %26, %3D and %2B in the query stay what they are.",
        "?a=%20+%26&b=%3D%2B",
        "a=%20+%26&b=%3D%2B",
    ),
    (
        "path.query-odd",
        "Empty values, ; and ? in the query stay what they are.",
        "?a=&;b=1&c?",
        "a=&;b=1&c?",
    ),
];

pub(super) fn checks() -> Vec<Check> {
    let paths = PATHS.map(|case| of(SDK, "path", case).case("H2"));
    let raw = RAW_PATHS.map(|case| of(RAW, "path", case).case("H3"));
    let queries = QUERIES.map(|case| of(RAW, "query", case).case("H5"));
    paths.into_iter().chain(raw).chain(queries).collect()
}

fn of(family: Family, key: &'static str, (id, says, rest, wanted): Case) -> Check {
    let check = family.check(id, says, move |target: Target| async move {
        let seen = seen(&target, Method::GET, rest).await?;
        seen.is(key, wanted) as Outcome
    });
    check.needs(&[Capability::Probe])
}
