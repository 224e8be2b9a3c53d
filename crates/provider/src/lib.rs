//! The contract between a gateway and whatever runs functions.
