//! What a deployment may say. Each refusal names the field and what is wrong with it.

use serde_json::{Map, Value};

use super::Model;
use super::answer::{Answer, refusal};
use crate::switch::Switch;

/// More replicas than this are not granted.
pub(crate) const MOST_REPLICAS: u64 = 100;

type Checked<T = ()> = Result<T, Answer>;

fn bad<T>(line: String) -> Checked<T> {
    Err(refusal(400, line))
}

/// A name as DNS has it (RFC 1123): function, secret or namespace.
pub(crate) fn name(model: &Model, field: &str, name: &str) -> Checked {
    let longest = match model.switch {
        Some(Switch::LongNameTaken) => 64,
        Some(Switch::LongestNameRefused) => 62,
        _ => 63,
    };
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let edge = |byte: Option<&u8>| byte.is_some_and(|&byte| inner(byte) && byte != b'-');
    let bytes = name.as_bytes();
    let fits = edge(bytes.first()) && edge(bytes.last()) && bytes.len() <= longest;
    match fits && bytes.iter().copied().all(inner) {
        true => Ok(()),
        false => bad(format!(
            "{field}: {name:?} is not 1 to 63 of a-z, 0-9 and -, with a letter or digit at \
             both ends"
        )),
    }
}

/// An object of texts, or nothing.
pub(crate) fn texts(object: &Map<String, Value>, field: &str) -> Checked {
    match object.get(field) {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Object(entries)) => match entries.iter().find(|(_, text)| !text.is_string()) {
            None => Ok(()),
            Some((name, value)) => bad(format!("{field}: {name:?} is {value}, not a text")),
        },
        Some(other) => bad(format!("{field}: {other} is not an object")),
    }
}

/// A list of texts, or nothing.
pub(crate) fn list<'a>(object: &'a Map<String, Value>, field: &str) -> Checked<Vec<&'a str>> {
    let items = match object.get(field) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(items)) => items,
        Some(other) => return bad(format!("{field}: {other} is not a list")),
    };
    let texts = items.iter().map(Value::as_str).collect::<Option<Vec<_>>>();
    texts.map_or_else(|| bad(format!("{field}: not only texts")), Ok)
}

/// The limit and the request of one kind, which must be quantities.
pub(crate) fn resources(
    deployment: &Map<String, Value>,
    kind: &str,
) -> Checked<(Option<f64>, Option<f64>)> {
    let limit = quantity(deployment, "limits", kind)?;
    let request = quantity(deployment, "requests", kind)?;
    Ok((limit, request))
}

fn quantity(deployment: &Map<String, Value>, field: &str, kind: &str) -> Checked<Option<f64>> {
    let resources = match deployment.get(field) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(resources)) => resources,
        Some(other) => return bad(format!("{field}: {other} is not an object")),
    };
    match resources.get(kind) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => match amount(text) {
            Some(amount) => Ok(Some(amount)),
            None => bad(format!("{field}.{kind}: {text:?} is not a quantity")),
        },
        Some(other) => bad(format!("{field}.{kind}: {other} is not a text")),
    }
}

/// A number and a suffix, as Kubernetes and Docker write them.
fn amount(text: &str) -> Option<f64> {
    let end = text.find(|character: char| !character.is_ascii_digit() && character != '.');
    let (number, suffix) = text.split_at(end.unwrap_or(text.len()));
    let scale = match suffix.to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "m" if suffix == "m" => 0.001,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "ki" => 1024.0,
        "mi" => 1024.0 * 1024.0,
        "gi" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    number.parse().ok().map(|number: f64| number * scale)
}

fn label_entries(deployment: &Map<String, Value>) -> impl Iterator<Item = (&str, &str)> {
    let entries = deployment.get("labels").and_then(Value::as_object);
    let entries = entries.into_iter().flatten();
    entries.map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default()))
}

/// The labels that the platform sets itself are not for others to set.
pub(crate) fn own_labels(deployment: &Map<String, Value>) -> Checked {
    let mut entries = label_entries(deployment);
    match entries.find(|(name, _)| matches!(*name, "function" | "faas_function")) {
        Some((name, _)) => bad(format!("labels: {name} is the platform's own")),
        None => Ok(()),
    }
}

/// The labels that scaling reads are whole numbers.
pub(crate) fn scale_labels(deployment: &Map<String, Value>) -> Checked {
    let scaling = ["com.openfaas.scale.min", "com.openfaas.scale.max"];
    for (name, value) in label_entries(deployment).filter(|(name, _)| scaling.contains(name)) {
        match value.parse::<u64>() {
            Ok(number) if number <= MOST_REPLICAS => {}
            Ok(number) => return bad(format!("labels: {name}: {number} is over {MOST_REPLICAS}")),
            Err(_) => return bad(format!("labels: {name}: {value:?} is not a whole number")),
        }
    }
    Ok(())
}

/// `label==value` or `label!=value`.
pub(crate) fn constraint(text: &str) -> Checked {
    let parts = text.split_once("==").or_else(|| text.split_once("!="));
    match parts {
        Some((label, value)) if !label.trim().is_empty() && !value.trim().is_empty() => Ok(()),
        _ => bad(format!("constraints: {text:?} is neither a==b nor a!=b")),
    }
}
