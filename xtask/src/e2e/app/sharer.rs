//! The app's page in a browser window, beside the viewer's page of the same room.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::super::rig::{Rig, Server};
use super::super::viewer::Viewer;
use super::site::Site;
use crate::browser::{Browser, Page};

const STEP_TIMEOUT: Duration = Duration::from_secs(20);
const TRACE: &str = include_str!("trace.js");

/// A room that is shared to by the app's page and watched by the viewer's, in one browser.
#[derive(Debug)]
pub(super) struct Sharer {
    pub(super) browser: Browser,
    page: Page,
    viewer: Viewer,
}

impl Sharer {
    /// Opens both pages and joins `room`.
    pub(super) fn join(
        rig: &Rig,
        display: &str,
        site: &Site,
        server: &Server,
        room: &str,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        let mut browser = Browser::launch_on(rig.dir(), display)?;
        let viewer = Viewer::open_with(&mut browser, &server.viewer_url(room)?, TRACE)?;
        let token = server.token(room, "share")?;
        let mut all =
            vec![("server", server.ws.as_str()), ("room", room), ("token", &token), ("name", "Ada")];
        all.extend(settings);
        let page = browser.open(&site.url(&all), TRACE)?;
        browser.wait_for(&page, "document.querySelector('#join')", STEP_TIMEOUT)?;
        browser.click(&page, "#join")?;
        Ok(Self { browser, page, viewer })
    }

    /// Picks a source of the native sender and shares it.
    pub(super) fn share(&mut self, source: &str) -> Result<()> {
        let card = format!(".source-card[data-source=\"{source}\"]");
        self.wait_for(&format!("document.querySelector({})", json!(card)))?;
        self.click(&card)?;
        self.click("#share")
    }

    /// Clicks in the app's page.
    pub(super) fn click(&mut self, selector: &str) -> Result<()> {
        self.wait_for(&format!("document.querySelector({})", json!(selector)))?;
        self.browser.click(&self.page, selector)
    }

    /// Waits in the app's page.
    pub(super) fn wait_for(&mut self, expression: &str) -> Result<Value> {
        self.browser.wait_for(&self.page, expression, STEP_TIMEOUT).with_context(|| self.seen())
    }

    /// Waits until the app shares by `path`, and returns when the viewer had its first picture of that share, in
    /// milliseconds since 1970.
    pub(super) fn pictures_by(&mut self, path: &str, timeout: Duration) -> Result<f64> {
        let state = format!("ycApp.state() === 'sharing' && ycApp.path() === '{path}'");
        self.browser.wait_for(&self.page, &state, timeout).with_context(|| self.seen())?;
        let native = path == "native";
        let picture = format!(
            "ycViewer.shares().length === 1 && ycViewer.shares()[0].native === {native} \
             && ycViewer.stats().then((stats) => stats?.firstFrameAtMs)"
        );
        let at = self.viewer.wait_for(&mut self.browser, &picture, STEP_TIMEOUT);
        at.with_context(|| self.seen())?.as_f64().context("the time of the first picture")
    }

    /// When the app left the native path for the last time, in milliseconds since 1970.
    pub(super) fn left_native(&mut self) -> Result<f64> {
        let left = "ycTrace.app.findLast(([state], at, all) => \
                    /native/.test(all[at - 1]?.[0] ?? '') && !/native/.test(state))?.[1]";
        self.browser.evaluate(&self.page, left)?.as_f64().with_context(|| self.seen())
    }

    /// Stops sharing, and waits until the room knows.
    pub(super) fn stop(&mut self) -> Result<()> {
        self.click("#stop")?;
        self.wait_for("ycApp.state() === 'idle'")?;
        self.viewer.wait_for(&mut self.browser, "ycViewer.shares().length === 0", STEP_TIMEOUT)?;
        Ok(())
    }

    /// Fails if the room ever had two shares.
    pub(super) fn never_two(&mut self) -> Result<()> {
        let most = self.viewer.evaluate(&mut self.browser, "ycTrace.most")?;
        ensure!(most == 1, "the room had {most} shares at a time; {}", self.seen());
        Ok(())
    }

    /// Puts a picture of the app's page into a file.
    pub(super) fn screenshot(&mut self, rig: &Rig, name: &str) -> Result<()> {
        self.browser.screenshot(&self.page, &rig.figure(name))
    }

    /// What the pages went through.
    fn seen(&mut self) -> String {
        let app = self.browser.evaluate(&self.page, "ycTrace.app");
        let room = self.viewer.evaluate(&mut self.browser, "ycTrace.room");
        let text = self.browser.evaluate(&self.page, "document.body.innerText");
        format!(
            "the app went through {}, the room through {}; the page says {:?}",
            app.unwrap_or_default(),
            room.unwrap_or_default(),
            text.unwrap_or_default().as_str().unwrap_or_default()
        )
    }
}
