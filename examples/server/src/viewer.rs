//! The viewer page: files of one folder.

use std::path::PathBuf;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};

use crate::app::Shared;

/// A folder with the built viewer page.
#[derive(Debug, Clone)]
pub struct Viewer {
    dir: PathBuf,
}

impl Viewer {
    /// The page in `dir`, which need not be there yet.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Whether there is a page.
    pub fn is_built(&self) -> bool {
        self.dir.join("index.html").is_file()
    }

    /// What to do where there is none.
    pub fn how_to_build(&self) -> String {
        format!(
            "no viewer page in {}: build it with `npm ci && npm run build` in the root of the repository, or name its folder with --viewer-dir",
            self.dir.display()
        )
    }

    /// The file that a URL's path names. Only plain names: nothing that could lead out of the folder.
    fn file(&self, path: &str) -> Option<PathBuf> {
        let path = path.strip_prefix('/')?;
        let path = if path.is_empty() { "index.html" } else { path };
        let plain = |name: &str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
            !name.is_empty() && !name.starts_with('.') && name.bytes().all(allowed)
        };
        path.split('/').all(plain).then(|| self.dir.join(path))
    }
}

pub(crate) async fn page(
    State(shared): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")]).into_response();
    }
    let viewer = &shared.viewer;
    let Some(file) = viewer.file(uri.path()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let content_type = content_type(&file.to_string_lossy());
    match tokio::fs::read(&file).await {
        Ok(bytes) => {
            // Vite puts a hash of the content into the names below assets.
            let cache = if uri.path().starts_with("/assets/") {
                "public, max-age=31536000, immutable"
            } else {
                "no-cache"
            };
            (
                security(&headers),
                [(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, cache)],
                bytes,
            )
                .into_response()
        }
        Err(_) if uri.path() == "/" => {
            let text = viewer.how_to_build().replace('&', "&amp;").replace('<', "&lt;");
            let page = format!("<!doctype html><title>yc-server</title><p>{text}</p>\n");
            (StatusCode::SERVICE_UNAVAILABLE, security(&headers), Html(page)).into_response()
        }
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The page may load its own files and talk to this server, nothing else; and its URL, which has a token in it,
/// goes nowhere.
fn security(headers: &HeaderMap) -> [(HeaderName, String); 3] {
    // 'self' does not cover ws: in every browser.
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .filter(|host| {
            host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b':' | b'-' | b'[' | b']'))
        })
        .map_or_else(String::new, |host| format!(" ws://{host} wss://{host}"));
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
         media-src 'self' blob:; worker-src 'self' blob:; connect-src 'self'{host}; base-uri 'none'; \
         form-action 'self'; frame-ancestors 'none'"
    );
    [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
    ]
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "map") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("wasm") => "application/wasm",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_inside_the_folder_are_files() {
        let viewer = Viewer::new("/srv/viewer".into());
        for (path, file) in
            [("/", "index.html"), ("/index.html", "index.html"), ("/assets/a-1.js", "assets/a-1.js")]
        {
            assert_eq!(viewer.file(path), Some(PathBuf::from("/srv/viewer").join(file)));
        }
        for path in
            ["", "/../x", "/a/../x", "/.env", "/a//b", "//etc/passwd", "/%2e%2e/x", "/a\\b", "/a\0", "/é"]
        {
            assert_eq!(viewer.file(path), None, "{path}");
        }
    }

    #[test]
    fn a_script_is_a_script_and_the_unknown_is_bytes() {
        assert_eq!(content_type("/x/a.js"), "text/javascript; charset=utf-8");
        assert_eq!(content_type("/x/a.exe"), "application/octet-stream");
        assert_eq!(content_type("noextension"), "application/octet-stream");
    }

    #[test]
    fn the_policy_names_this_host_only_if_it_is_one() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "127.0.0.1:8080".parse().unwrap());
        assert!(
            security(&headers)[0].1.contains("connect-src 'self' ws://127.0.0.1:8080 wss://127.0.0.1:8080;")
        );
        headers.insert(header::HOST, "x; script-src *".parse().unwrap());
        assert!(security(&headers)[0].1.contains("connect-src 'self';"));
    }
}
