//! A browser, driven by WebDriver (W3C Recommendation of 5 June 2018): JSON over HTTP to chromedriver, in a pod of its own.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::handshake;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use weft_tests::mesh::{Mesh, eventually};

/// Where chromedriver listens, within its pod.
const PORT: u16 = 9515;
/// A page has so long to show what is looked for.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(50);
/// The key under which WebDriver names an element (section 11).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A session of a headless browser. The browser ends with its pod.
pub struct Browser<'a> {
    mesh: &'a Mesh,
    pod: &'static str,
    session: String,
}

impl<'a> Browser<'a> {
    /// Starts a browser by the chromedriver that runs in `pod`.
    pub async fn start(mesh: &'a Mesh, pod: &'static str) -> Self {
        let mut browser = Self { mesh, pod, session: String::new() };
        eventually(PATIENCE, "chromedriver answers", async || browser.call(Method::GET, "/status", None).await.is_ok())
            .await;
        let profile = format!("--user-data-dir={}", mesh.folder.path().join("browser").display());
        let words = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", &profile];
        let wanted = json!({ "browserName": "chrome", "goog:chromeOptions": { "args": words } });
        let started = browser.ask(Method::POST, "/session", json!({ "capabilities": { "alwaysMatch": wanted } })).await;
        browser.session = format!("/session/{}", started["sessionId"].as_str().unwrap());
        browser
    }

    /// Opens a page.
    pub async fn open(&self, url: &str) {
        self.ask(Method::POST, &self.at("/url"), json!({ "url": url })).await;
    }

    /// The address of the page.
    pub async fn url(&self) -> String {
        let url = self.call(Method::GET, &self.at("/url"), None).await.unwrap();
        url.as_str().unwrap().to_owned()
    }

    /// What is to be read at a place (a CSS selector), as a person sees it; `None` where there is no such place.
    pub async fn text(&self, place: &str) -> Option<String> {
        let element = self.find(place).await.ok()?;
        let text = self.call(Method::GET, &self.at(&format!("/element/{element}/text")), None).await.ok()?;
        Some(text.as_str()?.to_owned())
    }

    /// Waits until `wanted` is to be read at a place.
    pub async fn reads(&self, place: &str, wanted: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.text(place).await.is_some_and(|text| text.contains(wanted)) {
            let page = async || self.text("body").await;
            assert!(Instant::now() < end, "not {wanted:?} at {place} within {PATIENCE:?}, but: {:?}", page().await);
            sleep(LOOK).await;
        }
    }

    /// Clicks.
    pub async fn click(&self, place: &str) {
        let element = self.find(place).await.unwrap_or_else(|error| panic!("nothing at {place}: {error}"));
        self.ask(Method::POST, &self.at(&format!("/element/{element}/click")), json!({})).await;
    }

    /// Types.
    pub async fn write(&self, place: &str, text: &str) {
        let element = self.find(place).await.unwrap_or_else(|error| panic!("nothing at {place}: {error}"));
        self.ask(Method::POST, &self.at(&format!("/element/{element}/value")), json!({ "text": text })).await;
    }

    /// Runs a script in the page; what it returns.
    pub async fn run(&self, script: &str) -> Value {
        self.ask(Method::POST, &self.at("/execute/sync"), json!({ "script": script, "args": [] })).await
    }

    async fn find(&self, place: &str) -> Result<String, String> {
        let by = json!({ "using": "css selector", "value": place });
        let found = self.call(Method::POST, &self.at("/element"), Some(by)).await?;
        Ok(found[ELEMENT].as_str().unwrap().to_owned())
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.session)
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> Value {
        self.call(method, path, Some(body)).await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// The value of the answer, or the error that WebDriver tells.
    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, String> {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let stream = self.mesh.sandbox.connect(Some(self.pod.into()), address, PORT).await.map_err(text)?;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(text)?;
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = Request::builder().method(method).uri(path).header(HOST, format!("127.0.0.1:{PORT}"));
        let request = request.header(CONTENT_TYPE, "application/json").body(Full::new(Bytes::from(body))).unwrap();
        // It takes the sender with it, so that the connection ends too.
        let exchange = async move {
            let answer = sender.send_request(request).await.map_err(text)?;
            let is_good = answer.status().is_success();
            Ok::<_, String>((is_good, answer.into_body().collect().await.map_err(text)?.to_bytes()))
        };
        let (answer, _) = tokio::join!(exchange, async {
            // Its errors reach whoever waits for the answer.
            let _ = connection.await;
        });
        let (is_good, bytes) = answer?;
        let answer: Value = serde_json::from_slice(&bytes).map_err(text)?;
        if is_good { Ok(answer["value"].clone()) } else { Err(answer["value"]["message"].to_string()) }
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
