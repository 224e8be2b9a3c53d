//! Which rights survive on the way from the provider to the program.

use std::fs;

use nix::sys::prctl;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    configure_capability_in_ambient_set, remove_capability_from_bounding_set, set_capabilities,
};

use super::words::{During, Words};

/// Lets the inner process keep what the new user namespace gave: without ambient capabilities an exec as
/// any user but root would lose them.
pub(super) fn keep_across_exec() -> Result<(), Words> {
    let mut sets = capabilities(None).during("reading capabilities")?;
    sets.inheritable = sets.permitted;
    set_capabilities(None, sets).during("keeping capabilities")?;
    for capability in sets.permitted.iter() {
        let _ = configure_capability_in_ambient_set(capability, true);
    }
    Ok(())
}

/// Sees to it that the program, and whatever it starts, has no capability and cannot gain any. This
/// process keeps its own, to kill processes of other users.
pub(super) fn renounce() -> Result<(), Words> {
    prctl::set_no_new_privs().during("setting no_new_privs")?;
    // Root without a user namespace of its own gets its rights back at exec, as far as this set allows.
    // Refused only to those who have nothing to lose.
    for capability in CapabilitySet::all().iter() {
        let _ = remove_capability_from_bounding_set(capability);
    }
    let _ = clear_ambient_capability_set();
    let sets = capabilities(None).during("reading capabilities")?;
    let inheritable = CapabilitySet::empty();
    set_capabilities(
        None,
        CapabilitySets {
            inheritable,
            ..sets
        },
    )
    .during("giving up inheritable capabilities")
}

/// A cgroup over its limit kills one of its processes; let it be the function, not its keepers. After the
/// child was started, because children inherit it. Takes a right not everyone has.
pub(super) fn spare_from_oom_killer() {
    let _ = fs::write("/proc/self/oom_score_adj", "-1000");
}
