//! The whole function platform in one process.
