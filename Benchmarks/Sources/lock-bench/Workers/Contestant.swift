import ArgumentParser

/// The implementations that are measured.
enum Contestant: String, Codable, CaseIterable, CodingKeyRepresentable, ExpressibleByArgument {
  case library
  case floor
  case crate

  /// The name in the table.
  var label: String {
    switch self {
    case .library: "this library"
    case .floor: "floor"
    case .crate: "crate's algorithm"
    }
  }

  /// The workload that does a job for it.
  func workload(for job: Job) -> any Workload.Type {
    switch (self, job) {
    case (.library, .pairs): LibraryPairs.self
    case (.library, .throughput): LibraryThroughput.self
    case (.library, .handoff): LibraryHandoff.self
    case (.library, .hold): LibraryHold.self
    case (.floor, .pairs): FloorPairs.self
    case (.floor, .throughput): FloorThroughput.self
    case (.floor, .handoff): FloorHandoff.self
    case (.floor, .hold): FloorHold.self
    case (.crate, .pairs): CratePairs.self
    case (.crate, .throughput): CrateThroughput.self
    case (.crate, .handoff): CrateHandoff.self
    case (.crate, .hold): CrateHold.self
    }
  }
}
