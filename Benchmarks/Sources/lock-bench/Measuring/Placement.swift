/// The cores on which client and server run.
enum Placement: String, Codable {
  case oneCore = "one core"
  case unpinned

  /// The placement that this machine supports.
  var possible: Placement { CPUAffinity.isSupported ? self : .unpinned }
}
