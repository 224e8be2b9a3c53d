//! Why a replica could not be started.

use std::io;

/// Everything that can go wrong before a program runs.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// This machine cannot give what was asked for, and doing without would be worse than refusing.
    #[error("{wanted} need {needed}, which this machine does not give: {reason}")]
    Unsupported {
        /// What the deployment asked for.
        wanted: &'static str,
        /// What the machine would have to permit.
        needed: &'static str,
        /// What it said when asked.
        reason: String,
    },
    /// A secret's name cannot be a file name.
    #[error("secret name {0:?} is not a plain file name")]
    SecretName(String),
    /// A step failed in the provider.
    #[error("{step}: {source}")]
    Step {
        /// The step, in words.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// A step failed inside the sandbox; its words.
    #[error("{0}")]
    Inside(String),
    /// Not even the sandbox fits.
    #[error("the memory limit is too small to start a program")]
    MemoryLimit,
    /// The sandbox went away, or was silent for too long, without a word.
    #[error("the sandbox ended before its program started")]
    Silent,
}

/// Names the step that failed.
pub(super) fn step(step: &'static str) -> impl FnOnce(io::Error) -> SandboxError {
    move |source| SandboxError::Step { step, source }
}
