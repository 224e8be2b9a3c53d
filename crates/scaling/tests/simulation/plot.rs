//! Replicas over time, as lines of text.

const WIDTH: u64 = 100;

/// A plot of what was asked for at each decision, for the eyes of whoever runs the tests with `--nocapture`.
pub(crate) fn plot(name: &str, ticks: &[u64], changes: &[(u64, u64)]) {
    let most = ticks.iter().copied().max().unwrap_or_default();
    let each = (ticks.len() as u64).div_ceil(WIDTH).max(1) as usize;
    println!("\n{name}: {}", words(changes));
    for level in (1..=most).rev() {
        let columns = ticks.chunks(each);
        let line: String = columns
            .map(|chunk| match chunk.iter().max() >= Some(&level) {
                true => '█',
                false => ' ',
            })
            .collect();
        println!("{level:>4} │{}", line.trim_end());
    }
    println!(
        "     └{} {} s",
        "─".repeat(ticks.len().div_ceil(each)),
        ticks.len() * 2
    );
}

/// As the specification writes them: `62→3, 64→5`.
pub(crate) fn words(changes: &[(u64, u64)]) -> String {
    let words: Vec<_> = changes
        .iter()
        .map(|(second, replicas)| format!("{second}→{replicas}"))
        .collect();
    words.join(", ")
}
