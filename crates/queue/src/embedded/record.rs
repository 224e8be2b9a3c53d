//! Records in the tables, and what goes wrong with either.

use redb::{ReadableTable, StorageError};

use super::tables::Tables;
use crate::record::Record;
use crate::{Error, FormatError};

/// What goes wrong in a transaction.
#[derive(Debug)]
pub(super) enum Failed {
    /// The store itself: nothing of the transaction stays.
    Store(StorageError),
    /// This one request: nothing of it was written.
    Request(Error),
}

impl From<StorageError> for Failed {
    fn from(error: StorageError) -> Self {
        Self::Store(error)
    }
}

impl From<FormatError> for Failed {
    fn from(error: FormatError) -> Self {
        Self::Request(error.into())
    }
}

impl Tables<'_> {
    pub(super) fn record(&self, call: u128) -> Result<Option<Record>, Failed> {
        let bytes = self.calls.get(call)?;
        Ok(bytes.map(|bytes| Record::read(bytes.value())).transpose()?)
    }

    pub(super) fn put_record(&mut self, call: u128, record: &Record) -> Result<(), Failed> {
        let text = record.write()?;
        self.calls.insert(call, text.as_slice())?;
        Ok(())
    }
}
