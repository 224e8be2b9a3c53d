#![doc = include_str!("../README.md")]

pub mod alert;
pub mod decision;
pub mod floor;
pub mod idle;
pub mod lease;
pub mod legacy;
pub mod load;
pub mod needs;
pub mod peers;
pub mod schedule;
pub mod settings;
