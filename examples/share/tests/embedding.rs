//! docs/embedding.md shows the example as it is.

#[test]
fn the_page_has_the_example_whole() {
    let example = include_str!("../examples/embed.rs").trim_end();
    let page = include_str!("../../../docs/embedding.md");
    assert!(
        page.contains(&format!("```rust\n{example}\n```")),
        "examples/embed.rs has changed: copy it to docs/embedding.md"
    );
}
