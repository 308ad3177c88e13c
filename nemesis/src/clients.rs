//! Our own clients as a fault sees them: one can end without goodbye, and a fresh one take its place.
//!
//! The workload implements it; nothing here knows how a client is made.

use std::pin::Pin;

use crate::resolve::CrashedClient;

/// The clients of one run.
pub trait Clients {
    /// Ends one client without flush or goodbye; which one, in words.
    fn crash<'a>(&'a self, which: &'a CrashedClient) -> Answer<'a>;

    /// Opens a fresh one in its place; which one, in words.
    fn revive<'a>(&'a self, which: &'a CrashedClient) -> Answer<'a>;
}

/// What was done, or why it could not be.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<String, String>> + 'a>>;
