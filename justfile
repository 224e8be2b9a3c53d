# The gate: what CI runs.
check:
    .ci/run

# The README's test command.
test:
    .ci/test

# The long cases, with their durations as written.
soak:
    .ci/soak

# The whole platform on this machine.
up:
    cargo run --release

# The conformance suite against a running gateway.
certify url="http://127.0.0.1:8080":
    cargo run --release -p certifier -- --gateway {{url}}

# The figures of bench/README.md.
bench:
    bench/run

# Every image, from this checkout, with no registry: ferrofaas/NAME.
images *names:
    images/build {{names}}

# The watchdog as one static program, for any image: target/x86_64-unknown-linux-gnu/function/fwatchdog.
fwatchdog:
    images/compile faas-watchdog:fwatchdog

# Formatting.
fmt:
    cargo fmt --all

# Lints, warnings as errors.
lint:
    cargo clippy --workspace --all-targets --locked -- -D warnings

# Licences, sources, duplicates, the map of crates.
deny:
    cargo deny --workspace check bans licenses sources

# Documentation, warnings as errors.
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
