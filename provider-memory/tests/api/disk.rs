//! A disk that is full.

use std::path::Path;

use faas_provider_memory::sandbox::Allowed;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use reqwest::StatusCode;
use serde_json::json;

use crate::support::{Home, Provider, accepted, function, ok, with};

/// A file system of a megabyte, for as long as this lives.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn at(path: &Path) -> Self {
        std::fs::create_dir(path).unwrap();
        let none = None::<&str>;
        mount(none, path, Some("tmpfs"), MsFlags::empty(), Some("size=1m")).unwrap();
        Self(path.to_owned())
    }

    /// Leaves no room at all.
    fn fill(&self) {
        let _ = std::fs::write(self.0.join("ballast"), vec![0; 2 << 20]);
    }

    fn empty(&self) {
        std::fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

#[tokio::test]
async fn a_full_disk_refuses_changes_in_words_and_leaves_everything_as_it_was() {
    let home = Home::new();
    let disk = SmallDisk::at(&home.path("disk"));
    let data_dir = home.path("disk/data");
    let start = || {
        Provider::with(
            home.clone(),
            |config| config.data_dir = Some(data_dir.clone()),
            Allowed::default(),
        )
    };
    let provider = start().await;
    provider.have(&function("count", "wc -c")).await;
    let before = provider.json("/system/functions").await;
    disk.fill();

    let big = with(
        function("count", "cat"),
        json!({"annotations": {"big": "x".repeat(9000)}}),
    );
    let other = with(big.clone(), json!({"service": "other"}));
    for (status, words) in [
        provider.update(&big).await,
        provider.post_function(&other).await,
        provider.delete("count").await,
        provider.scale("count", 2).await,
        provider
            .create_secret(&json!({"name": "key", "value": "x"}))
            .await,
    ] {
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{words}");
        assert!(
            words.starts_with("data_dir cannot be written: No space left"),
            "{words}"
        );
        assert_eq!(words.lines().count(), 1);
    }
    assert_eq!(provider.json("/system/functions").await, before);
    assert_eq!(provider.get("/system/secrets").await, ok("[]"));
    assert_eq!(provider.call("count", "hello").await, ok("5\n"));
    let left = std::fs::read_dir(&data_dir).unwrap().count();
    assert_eq!(left, 2, "the state and its lock");

    disk.empty();
    assert_eq!(provider.scale("count", 2).await, accepted());
    provider.stop().await;
    let provider = start().await;
    assert_eq!(provider.status("count").await["replicas"], 2);
    provider.stop().await;
}
