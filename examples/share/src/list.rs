//! `--list`.

use serde_json::json;

use crate::failure::Failure;

/// Prints every source that can be shared, and why some cannot be listed.
pub(crate) fn list(as_json: bool) -> Result<(), Failure> {
    let (sources, errors) = yc_capture::list_sources();
    if as_json {
        let sources: Vec<_> = sources
            .iter()
            .map(|source| {
                json!({
                    "source": source.target.to_string(),
                    "title": source.title,
                    "width": source.size.width(),
                    "height": source.size.height(),
                    "process": source.process,
                    "backend": source.backend,
                })
            })
            .collect();
        let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
        println!("{}", json!({"sources": sources, "errors": errors}));
        return Ok(());
    }
    println!("{:<22} {:>11}  {:<12} {:<18} TITLE", "SOURCE", "SIZE", "BACKEND", "PROCESS");
    for source in &sources {
        println!(
            "{:<22} {:>11}  {:<12} {:<18} {}",
            source.target.to_string(),
            source.size.to_string(),
            source.backend,
            source.process.as_deref().unwrap_or("-"),
            source.title,
        );
    }
    for error in &errors {
        eprintln!("yc-share: {error}");
    }
    Ok(())
}
