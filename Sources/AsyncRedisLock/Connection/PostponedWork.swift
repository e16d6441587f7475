/// Actions that wait for a time to pass, and that may be taken out before.
struct PostponedWork {
  private var bodies: [Int: @Sendable () -> Void] = [:]
  private var lastPlace = 0

  var count: Int { bodies.count }

  /// Adds an action, and returns its place.
  mutating func add(_ body: @escaping @Sendable () -> Void) -> Int {
    lastPlace += 1
    bodies[lastPlace] = body
    return lastPlace
  }

  /// Takes out an action, unless that has been done before.
  mutating func take(_ place: Int) -> (@Sendable () -> Void)? {
    bodies.removeValue(forKey: place)
  }

  /// Takes out all actions, in the order in which they were added.
  mutating func takeAll() -> [@Sendable () -> Void] {
    defer { bodies = [:] }
    return bodies.sorted { $0.key < $1.key }.map(\.value)
  }
}
