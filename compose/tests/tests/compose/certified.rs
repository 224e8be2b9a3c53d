//! The certifier's image against a platform from the compose file.

use faas_compose_tests::Platform;

/// The redirecting function: a program beside the others, in mode http, as an image map says.
fn image_map(platform: &Platform) {
    let functions = platform.path().join("functions");
    let program = "/handler";
    let container = platform.engine.docker(&["create", "functions/redirector"]);
    let container = container.trim();
    let from = format!("{container}:/home/app{program}");
    let to = functions.join("handler");
    let _ = platform.engine.docker(&["cp", &from, to.to_str().unwrap()]);
    let _ = platform.engine.docker(&["rm", container]);
    let map = "[\"functions/redirector\"]\ncommand = \"./handler\"\n\
               environment = { mode = \"http\", upstream_url = \"http://127.0.0.1:8082\" }\n";
    std::fs::write(functions.join("image-map.toml"), map).unwrap();
}

#[tokio::test]
async fn the_certifier_finds_nothing_to_complain_about() {
    let mut platform = Platform::prepared(&["docker-compose.yml"]);
    image_map(&platform);
    platform.set("IMAGE_MAP", "/functions/image-map.toml");
    platform.up().await;
    for target in [
        ["--gateway", "http://gateway:8080"],
        ["--provider", "http://provider:8080"],
    ] {
        let redirector = ["--redirector-image", "functions/redirector"];
        let run = ["run", "--rm", "-T", "certifier"];
        let report = platform.compose(&[&run[..], &target, &redirector].concat());
        assert!(report.contains("passed"), "{report}");
        println!("{report}");
    }
}
