/// Where client and server run.
enum Placement: String, Codable {
  case oneCore = "one core"
  case unpinned

  /// What the machine can do of it.
  var possible: Placement { CPUAffinity.isSupported ? self : .unpinned }
}
