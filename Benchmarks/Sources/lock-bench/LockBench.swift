import ArgumentParser

/// Measures the library beside its floor and beside the Rust crate's algorithm.
@main
struct LockBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lock-bench",
    abstract: "Measures async-redis-lock beside plain hiredis and the Rust crate's algorithm.",
    subcommands: [MeasureCommand.self, WorkerCommand.self],
    defaultSubcommand: MeasureCommand.self)
}
