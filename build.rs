fn main() {
    // A new migration file alone does not make cargo rebuild the crate that embeds it.
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-changed=contracts/artifacts");
}
