//! Static: the files below a directory, and no process.
//!
//! A file itself (ranges, conditions, HEAD) is tower-http's business; which file it is, redirects, and listings are ours.

use std::ffi::OsString;
use std::fs::Metadata;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use http::header::{CONTENT_TYPE, LOCATION, RANGE};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::BodyExt;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use tokio::fs;
use tokio::io::AsyncReadExt;
use tower_http::services::ServeFile;

use crate::answer::{self, Response};
use crate::request::Body;
use crate::watchdog::App;
use crate::{go_text, sniff};

/// What a directory shows of itself.
const INDEX: &str = "index.html";

/// Everything in a name that could mean something else in a link.
const IN_LINKS: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Answers with a file, whatever the method.
pub(crate) async fn call(app: &App, request: Request<Body>) -> Response {
    let answered = find(&app.config.static_path, request).await;
    answered.unwrap_or_else(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => answer::not_found(),
        io::ErrorKind::PermissionDenied => answer::fault(StatusCode::FORBIDDEN, "403 Forbidden"),
        _ => {
            let words = go_text::error(&error);
            log!(
                "Error reading below {}: {words}",
                app.config.static_path.display()
            );
            answer::fault(StatusCode::INTERNAL_SERVER_ERROR, &words)
        }
    })
}

async fn find(root: &Path, request: Request<Body>) -> io::Result<Response> {
    let asked = request.uri().path().to_owned();
    let path = below(root, &asked).ok_or(io::ErrorKind::NotFound)?;
    let metadata = fs::metadata(&path).await?;
    if let Some(location) = elsewhere(&asked, &metadata) {
        return Ok(redirect(&location, request.uri().query()));
    }
    if metadata.is_file() {
        return serve(&path, request).await;
    }
    if !metadata.is_dir() {
        // A pipe or a device might never end.
        return Err(io::ErrorKind::NotFound.into());
    }
    let index = path.join(INDEX);
    if fs::metadata(&index)
        .await
        .is_ok_and(|found| found.is_file())
    {
        return serve(&index, request).await;
    }
    list(&path).await
}

/// The path below the root, if it is below. Symbolic links are the owner's.
fn below(root: &Path, asked: &str) -> Option<PathBuf> {
    let decoded: Vec<u8> = percent_decode_str(asked).collect();
    if decoded.contains(&0) {
        return None;
    }
    let decoded = PathBuf::from(OsString::from_vec(decoded));
    let mut path = root.to_owned();
    for part in decoded.components() {
        match part {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(name) => path.push(name),
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

/// Where a caller is sent so that links in pages lead where they should: directories end in a slash, files do not.
fn elsewhere(asked: &str, metadata: &Metadata) -> Option<String> {
    let slash = asked.ends_with('/');
    let name = asked.trim_end_matches('/').rsplit('/').next()?;
    if metadata.is_dir() && !slash {
        return Some(format!("{name}/"));
    }
    if metadata.is_file() && slash {
        return Some(format!("../{name}"));
    }
    (metadata.is_file() && name == INDEX).then(|| "./".to_owned())
}

fn redirect(location: &str, query: Option<&str>) -> Response {
    let mut response = answer::empty(StatusCode::MOVED_PERMANENTLY);
    let location = query.map_or(location.to_owned(), |query| format!("{location}?{query}"));
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

async fn serve(path: &Path, request: Request<Body>) -> io::Result<Response> {
    let (mut head, _) = request.into_parts();
    if head.method != Method::HEAD {
        // Compat: every method reads.
        head.method = Method::GET;
    }
    // Several ranges at once may be answered with everything.
    let ranges = head.headers.get(RANGE).map(HeaderValue::as_bytes);
    if ranges.is_some_and(|ranges| ranges.contains(&b',')) {
        head.headers.remove(RANGE);
    }
    let request = Request::from_parts(head, http_body_util::Empty::<bytes::Bytes>::new());
    let served = ServeFile::new(path).try_call(request).await?;
    let mut response = served.map(BodyExt::boxed_unsync);
    if response.headers().contains_key(CONTENT_TYPE) {
        let known = response.headers().get(CONTENT_TYPE).cloned();
        answer::content_type(&mut response, content_type(path, known).await?);
    }
    Ok(response)
}

/// By the name, else by what the file begins with. Text is UTF-8.
async fn content_type(path: &Path, by_name: Option<HeaderValue>) -> io::Result<HeaderValue> {
    let by_name = by_name.as_ref().and_then(|value| value.to_str().ok());
    match by_name {
        Some(text) if text.starts_with("text/") && !text.contains("charset") => {
            let text = format!("{text}; charset=utf-8");
            Ok(HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(sniff::TEXT)))
        }
        Some(other) if other != "application/octet-stream" => {
            Ok(HeaderValue::from_str(other).unwrap_or(HeaderValue::from_static(sniff::TEXT)))
        }
        _ => {
            let mut beginning = Vec::with_capacity(sniff::LOOKED_AT_BYTES);
            let file = fs::File::open(path).await?;
            file.take(sniff::LOOKED_AT_BYTES as u64)
                .read_to_end(&mut beginning)
                .await?;
            Ok(HeaderValue::from_static(sniff::content_type(&beginning)))
        }
    }
}

/// The names in a directory, as links.
async fn list(path: &Path) -> io::Result<Response> {
    let mut names = Vec::new();
    let mut entries = fs::read_dir(path).await?;
    while let Some(entry) = entries.next_entry().await? {
        let mut name = entry.file_name().to_string_lossy().into_owned();
        // As a link leads to: of a symbolic link, what is behind it.
        if fs::metadata(entry.path())
            .await
            .is_ok_and(|found| found.is_dir())
        {
            name.push('/');
        }
        names.push(name);
    }
    names.sort();
    let mut page = String::from("<!DOCTYPE html>\n<title>Files</title>\n<ul>\n");
    for name in names {
        page += &item(&name);
    }
    page += "</ul>\n";
    let mut response = answer::plain(StatusCode::OK, page);
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    answer::content_type(&mut response, html);
    Ok(response)
}

fn item(name: &str) -> String {
    let (stem, slash) = match name.strip_suffix('/') {
        Some(stem) => (stem, "/"),
        None => (name, ""),
    };
    let link = utf8_percent_encode(stem, IN_LINKS);
    format!(
        "<li><a href=\"./{link}{slash}\">{}</a></li>\n",
        answer::escaped(name)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leads_out() {
        let root = Path::new("/r");
        for (asked, found) in [
            ("/", Some("/r")),
            ("/a/b.txt", Some("/r/a/b.txt")),
            ("/a%20b", Some("/r/a b")),
            ("/%2e%2e/tmp", None),
            ("/a/%2e%2e/b", None),
            ("/..%2f..%2fetc", None),
            ("/%2fetc/passwd", Some("/r/etc/passwd")),
            ("/a%00b", None),
        ] {
            assert_eq!(
                below(root, asked).as_deref(),
                found.map(Path::new),
                "{asked}"
            );
        }
    }

    #[test]
    fn names_are_links_and_nothing_else() {
        assert_eq!(item("a b/"), "<li><a href=\"./a%20b/\">a b/</a></li>\n");
        let odd = item("<i>\"&#?");
        assert_eq!(
            odd,
            "<li><a href=\"./%3Ci%3E%22%26%23%3F\">&lt;i&gt;&#34;&amp;#?</a></li>\n"
        );
    }
}
