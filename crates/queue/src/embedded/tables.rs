//! The tables of the store. All of them change in one transaction, so that the books balance in every state on disk.

use redb::{
    ReadableDatabase, ReadableTable, StorageError, Table, TableDefinition, WriteTransaction,
};

/// `format` → the version of the whole store.
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// Call → [`Record`](crate::record::Record), also for a while after it has ended.
pub(super) const CALLS: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("calls");
/// Call → its envelope, as long as it may be made.
pub(super) const ENVELOPES: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("envelopes");
/// Function, due time, call: what waits, in the order in which it is taken.
pub(super) const READY: TableDefinition<'_, (&str, u64, u128), ()> = TableDefinition::new("ready");
/// Function → how many of its calls wait.
pub(super) const WAITING: TableDefinition<'_, &str, u64> = TableDefinition::new("waiting");
/// Calls that are being made.
pub(super) const RUNNING: TableDefinition<'_, u128, ()> = TableDefinition::new("running");
/// Call → its kept answer.
pub(super) const RESULTS: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("results");
/// Dead letters.
pub(super) const DEAD: TableDefinition<'_, u128, ()> = TableDefinition::new("dead");
/// Call → its callback's envelope.
pub(super) const CALLBACKS: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("callbacks");
/// Due time, call → how often its callback was tried.
pub(super) const CALLBACKS_READY: TableDefinition<'_, (u64, u128), u32> =
    TableDefinition::new("callbacks_ready");
/// Call → how often its callback, which is being posted, was tried before.
pub(super) const CALLBACKS_RUNNING: TableDefinition<'_, u128, u32> =
    TableDefinition::new("callbacks_running");
/// Call → when its callback became a dead letter.
pub(super) const CALLBACKS_DEAD: TableDefinition<'_, u128, u64> =
    TableDefinition::new("callbacks_dead");
/// Hash of function and idempotency key → the call.
pub(super) const KEYS: TableDefinition<'_, &[u8], u128> = TableDefinition::new("keys");
/// Time, kind, key: what is forgotten then.
pub(super) const EXPIRY: TableDefinition<'_, (u64, u8, &[u8]), ()> = TableDefinition::new("expiry");
/// What ever happened, counted.
pub(super) const BOOKS: TableDefinition<'_, &str, u64> = TableDefinition::new("books");

/// Every table, open in one transaction.
pub(super) struct Tables<'t> {
    pub(super) calls: Table<'t, u128, &'static [u8]>,
    pub(super) envelopes: Table<'t, u128, &'static [u8]>,
    pub(super) ready: Table<'t, (&'static str, u64, u128), ()>,
    pub(super) waiting: Table<'t, &'static str, u64>,
    pub(super) running: Table<'t, u128, ()>,
    pub(super) results: Table<'t, u128, &'static [u8]>,
    pub(super) dead: Table<'t, u128, ()>,
    pub(super) callbacks: Table<'t, u128, &'static [u8]>,
    pub(super) callbacks_ready: Table<'t, (u64, u128), u32>,
    pub(super) callbacks_running: Table<'t, u128, u32>,
    pub(super) callbacks_dead: Table<'t, u128, u64>,
    pub(super) keys: Table<'t, &'static [u8], u128>,
    pub(super) expiry: Table<'t, (u64, u8, &'static [u8]), ()>,
    pub(super) books: Table<'t, &'static str, u64>,
}

impl<'t> Tables<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, redb::TableError> {
        Ok(Self {
            calls: transaction.open_table(CALLS)?,
            envelopes: transaction.open_table(ENVELOPES)?,
            ready: transaction.open_table(READY)?,
            waiting: transaction.open_table(WAITING)?,
            running: transaction.open_table(RUNNING)?,
            results: transaction.open_table(RESULTS)?,
            dead: transaction.open_table(DEAD)?,
            callbacks: transaction.open_table(CALLBACKS)?,
            callbacks_ready: transaction.open_table(CALLBACKS_READY)?,
            callbacks_running: transaction.open_table(CALLBACKS_RUNNING)?,
            callbacks_dead: transaction.open_table(CALLBACKS_DEAD)?,
            keys: transaction.open_table(KEYS)?,
            expiry: transaction.open_table(EXPIRY)?,
            books: transaction.open_table(BOOKS)?,
        })
    }

    /// Counts one more of `what` in the books.
    pub(super) fn count(&mut self, what: &'static str) -> Result<(), StorageError> {
        let so_far = self.books.get(what)?.map_or(0, |count| count.value());
        self.books.insert(what, so_far + 1)?;
        Ok(())
    }

    /// Puts a call among those that wait.
    pub(super) fn put_ready(
        &mut self,
        function: &str,
        due_ms: u64,
        call: u128,
    ) -> Result<(), StorageError> {
        if self.ready.insert((function, due_ms, call), ())?.is_none() {
            let waiting = self.waiting_of(function)?;
            self.waiting.insert(function, waiting + 1)?;
        }
        Ok(())
    }

    /// Takes a call from among those that wait. Whether it was there.
    pub(super) fn remove_ready(
        &mut self,
        function: &str,
        due_ms: u64,
        call: u128,
    ) -> Result<bool, StorageError> {
        let was_there = self.ready.remove((function, due_ms, call))?.is_some();
        if was_there {
            match self.waiting_of(function)? {
                0 | 1 => drop(self.waiting.remove(function)?),
                waiting => drop(self.waiting.insert(function, waiting - 1)?),
            }
        }
        Ok(was_there)
    }

    pub(super) fn waiting_of(&self, function: &str) -> Result<u64, StorageError> {
        Ok(self.waiting.get(function)?.map_or(0, |count| count.value()))
    }
}

/// A state of the store that does not change while it is looked at.
pub(super) struct Snapshot(pub(super) redb::ReadTransaction);

impl Snapshot {
    pub(super) fn of(database: &redb::Database) -> Result<Self, redb::TransactionError> {
        database.begin_read().map(Self)
    }
}
