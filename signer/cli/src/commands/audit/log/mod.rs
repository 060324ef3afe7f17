//! A log to read, wherever its static tiles are (C2SP tlog-tiles): in an export's directory, or on an HTTP server.

mod directory;
mod entries;
mod web;

use std::path::PathBuf;
use std::str::FromStr;

use stele_core::checkpoint::tile::TilePath;

pub(super) use directory::Directory;
pub(super) use entries::{scan, scan_from};
use web::Web;

use crate::connect::Settings;
use crate::error::CliError;

/// A full entry bundle: 256 entries of at most 65,535 bytes with their lengths; no tile is larger.
const MAX_TILE: u64 = 256 * 65_537;
/// No checkpoint with all its cosignatures is larger.
const MAX_NOTE: u64 = 1 << 20;

/// Where a log is.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// A directory with `checkpoint` and `tile/`, or a ceremony's transcript, which has them in `log/`.
    Directory(PathBuf),
    /// The URL of `checkpoint` and `tile/`, less these.
    Url(String),
}

impl FromStr for Place {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let web = text.starts_with("http://") || text.starts_with("https://");
        Ok(if web {
            Self::Url(text.trim_end_matches('/').to_owned())
        } else {
            Self::Directory(text.into())
        })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Directory(path) => path.display().fmt(f),
            Self::Url(url) => f.write_str(url),
        }
    }
}

/// Something in a place that should not be so.
#[derive(Clone, Debug, serde::Serialize)]
pub(super) struct FileFinding {
    pub(super) path: String,
    pub(super) found: String,
    pub(super) expected: String,
}

impl FileFinding {
    pub(super) fn new(path: impl Into<String>, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            found: found.into(),
            expected: expected.into(),
        }
    }
}

/// A log that was found, with its newest checkpoint.
pub(super) enum Log {
    Directory(Directory),
    Web(Web),
}

impl Log {
    /// Looks at a place.
    ///
    /// # Errors
    /// When there is no checkpoint, or the place cannot be read.
    pub(super) fn open(place: &Place, settings: &Settings) -> Result<Self, CliError> {
        match place {
            Place::Directory(path) => Directory::open(path).map(Self::Directory),
            Place::Url(url) => Web::open(url, settings).map(Self::Web),
        }
    }

    /// The newest checkpoint's note, not verified.
    pub(super) fn note(&self) -> &str {
        match self {
            Self::Directory(directory) => &directory.note,
            Self::Web(web) => &web.note,
        }
    }

    /// A tile's bytes; `None` when it is not there.
    pub(super) fn read(&self, tile: TilePath) -> Result<Option<Vec<u8>>, CliError> {
        match self {
            Self::Directory(directory) => directory.read(tile),
            Self::Web(web) => web.get(&tile.to_string(), MAX_TILE),
        }
    }

    /// How many threads make good use of this place: over a network most of the time is waiting.
    pub(super) fn threads(&self) -> usize {
        match self {
            Self::Directory(_) => crate::pool::width(),
            Self::Web(_) => crate::pool::width().max(8),
        }
    }
}
