//! The viewer's page in a browser, and what it decodes.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use crate::browser::{Browser, Page};
use crate::picture::{Comparison, Reference};

const START_TIMEOUT: Duration = Duration::from_secs(30);
const FIRST_PICTURE_TIMEOUT: Duration = Duration::from_secs(30);

/// A page that shows a room.
#[derive(Debug)]
pub(crate) struct Viewer {
    page: Page,
}

/// A decoded picture as the page shows it.
#[derive(Debug)]
pub(crate) struct Picture {
    pub(crate) width: usize,
    pub(crate) rgba: Vec<u8>,
}

impl Viewer {
    /// Opens the room at `url` and waits until the page's program runs.
    pub(crate) fn open(browser: &mut Browser, url: &str) -> Result<Self> {
        Self::open_with(browser, url, "")
    }

    /// Like [`open`](Self::open), with one more script that runs beside the page's.
    pub(crate) fn open_with(browser: &mut Browser, url: &str, script: &str) -> Result<Self> {
        let page = browser.open(url, &format!("{PROBE}\n{script}"))?;
        browser.wait_for(&page, "typeof window.ycViewer === 'object' && !!window.ycViewer", START_TIMEOUT)?;
        Ok(Self { page })
    }

    /// Opens `count` pages and sends them all to `url` one right after the other.
    pub(crate) fn open_all(browser: &mut Browser, url: &str, count: usize) -> Result<Vec<Self>> {
        let viewers: Vec<Self> =
            (0..count).map(|_| Ok(Self { page: browser.blank(PROBE)? })).collect::<Result<_>>()?;
        for viewer in &viewers {
            browser.navigate(&viewer.page, url)?;
        }
        Ok(viewers)
    }

    /// When the first decoded picture was there, in microseconds since 1970.
    pub(crate) fn first_picture(&self, browser: &mut Browser) -> Result<u64> {
        let at = browser.wait_for(&self.page, "window.ycProbe.firstPictureAt", FIRST_PICTURE_TIMEOUT)?;
        milliseconds(&at).context("the page's time of its first picture")
    }

    /// When the page began to load, in microseconds since 1970.
    pub(crate) fn opened(&self, browser: &mut Browser) -> Result<u64> {
        let at = browser.evaluate(&self.page, "performance.timeOrigin")?;
        milliseconds(&at).context("the page's time origin")
    }

    /// The statistics of the share that is shown (the oldest, if there are several).
    pub(crate) fn stats(&self, browser: &mut Browser) -> Result<Value> {
        let stats = browser.evaluate(&self.page, "window.ycViewer.stats()")?;
        Some(stats).filter(Value::is_object).context("the viewer shows no share")
    }

    /// Each decoded picture so far: frame number and microseconds since 1970, in the order they came.
    pub(crate) fn frames(&self, browser: &mut Browser) -> Result<Vec<(u32, u64)>> {
        let frames = browser.evaluate(&self.page, "window.ycProbe.frames")?;
        let pairs = frames
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|pair| Some((u32::try_from(pair[0].as_u64()?).ok()?, milliseconds(&pair[1])?)));
        Ok(pairs.collect())
    }

    /// When each decoded picture so far was shown, readable or not, in microseconds since 1970.
    pub(crate) fn shown(&self, browser: &mut Browser) -> Result<Vec<u64>> {
        let shown = browser.evaluate(&self.page, "window.ycProbe.shown")?;
        Ok(shown.as_array().into_iter().flatten().filter_map(milliseconds).collect())
    }

    /// Width and height of the picture that is shown.
    pub(crate) fn size(&self, browser: &mut Browser) -> Result<(u64, u64)> {
        let size = browser.evaluate(
            &self.page,
            "(({videoWidth, videoHeight}) => [videoWidth, videoHeight])(document.querySelector('video') ?? {})",
        )?;
        Ok((size[0].as_u64().unwrap_or_default(), size[1].as_u64().unwrap_or_default()))
    }

    /// Counts of the probe: pictures that came, those whose number could not be read, and errors.
    pub(crate) fn probe(&self, browser: &mut Browser) -> Result<Value> {
        browser.evaluate(
            &self.page,
            "(({pictures, unreadable, errors}) => ({pictures, unreadable, errors}))(window.ycProbe)",
        )
    }

    /// The next decoded picture.
    pub(crate) fn grab(&self, browser: &mut Browser) -> Result<Picture> {
        let picture = browser.evaluate(&self.page, "window.ycProbe.grab()")?;
        let side = |name: &str| picture[name].as_u64().and_then(|value| usize::try_from(value).ok());
        let (Some(width), Some(height), Some(data)) =
            (side("width"), side("height"), picture["rgba"].as_str())
        else {
            bail!("the page returned no picture");
        };
        let rgba = BASE64.decode(data).context("the page's picture")?;
        ensure!(rgba.len() == width * height * 4, "the page's picture has {} bytes", rgba.len());
        Ok(Picture { width, rgba })
    }

    /// Compares the next `count` decoded pictures with those of a moving desktop of `size`. Those that show no frame
    /// number are left out: a picture can be taken while the page swaps it for the next.
    pub(crate) fn compare(
        &self,
        browser: &mut Browser,
        size: (u32, u32),
        count: usize,
    ) -> Result<Vec<Comparison>> {
        let mut reference = Reference::new(size.0, size.1)?;
        let mut compared = Vec::with_capacity(count);
        for _ in 0..count {
            let picture = self.grab(browser)?;
            compared.extend(reference.compare_rgba(&picture.rgba, picture.width));
        }
        Ok(compared)
    }

    /// Puts a picture of the page into a PNG file.
    pub(crate) fn screenshot(&self, browser: &mut Browser, file: &Path) -> Result<()> {
        browser.screenshot(&self.page, file)
    }

    /// The value of `expression` in the page.
    pub(crate) fn evaluate(&self, browser: &mut Browser, expression: &str) -> Result<Value> {
        browser.evaluate(&self.page, expression)
    }

    /// Waits until `expression` holds in the page.
    pub(crate) fn wait_for(
        &self,
        browser: &mut Browser,
        expression: &str,
        timeout: Duration,
    ) -> Result<Value> {
        browser.wait_for(&self.page, expression, timeout)
    }

    pub(crate) fn close(self, browser: &mut Browser) -> Result<()> {
        browser.close(self.page)
    }
}

fn milliseconds(value: &Value) -> Option<u64> {
    value.as_f64().filter(|ms| *ms > 0.0).map(|ms| (ms * 1_000.0) as u64)
}

/// Reads frame numbers in the page.
const PROBE: &str = include_str!("probe.js");
