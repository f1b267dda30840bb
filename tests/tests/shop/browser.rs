//! The shop's pages in a real browser, through the edge and the mesh.

use std::io::Write;
use std::path::Path;

use crate::harness::{CONTINUE, STOP, Shop, pod};
use crate::webdriver::Browser;

const DRIVER: &str = "/usr/bin/chromedriver";

/// Whether there is a browser; in CI there must be.
#[expect(clippy::explicit_write, reason = "the test harness keeps what a passing test prints by macros")]
fn is_there() -> bool {
    let is_there = Path::new(DRIVER).exists();
    if !is_there {
        assert!(std::env::var_os("CI").is_none(), "{DRIVER} is missing: run `.ci/packages`");
        writeln!(std::io::stderr(), "NOT RUN: {DRIVER} is missing: run `.ci/packages`").unwrap();
    }
    is_there
}

#[tokio::test]
async fn a_person_logs_in_orders_watches_the_steps_and_cancels() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let driver = pod("browser", &[DRIVER, "--port=9515", "--allowed-ips=127.0.0.1"], folder.path());
    let shop = Shop::open_with(&[], &[], &[driver]).await;
    let browser = Browser::start(&shop.mesh, "browser").await;

    browser.open("http://edge:8080/").await;
    assert!(browser.url().await.ends_with("/web"));
    browser.reads("#users", "Grace Hopper").await;
    browser.reads("#products tr:nth-child(2)", "€").await;

    browser.click("option[value='2']").await;
    browser.write("input[name='password']", "shop").await;
    browser.click("#login").await;
    browser.reads("#user", "Grace Hopper").await;

    // Nobody takes the money yet, so that the order can be seen on its way.
    shop.strike("payments", "app", STOP).await;
    browser.click("#order-1").await;
    browser.reads("#status", "pending").await;
    // The page is not loaded again: what it is marked with stays.
    browser.run("window.marked = true").await;
    browser.reads("#steps", "reserve-inventory").await;
    shop.strike("payments", "app", CONTINUE).await;
    browser.reads("#status", "completed").await;
    browser.reads("#steps", "charge-payment").await;
    assert_eq!(browser.run("return window.marked").await, true);

    browser.click("#cancel").await;
    browser.reads("#status", "cancelled").await;
    browser.reads("#steps", "refund-payment").await;
    browser.reads("#steps", "release-inventory").await;
    browser.open("http://edge:8080/web").await;
    browser.reads("#orders", "cancelled").await;
}
