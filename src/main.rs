use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    preauthd::cli::main().await
}
