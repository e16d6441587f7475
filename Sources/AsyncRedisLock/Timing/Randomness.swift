/// Where pauses and tokens have their random numbers from: the system, or what a simulation draws from a seed.
package struct Randomness: RandomNumberGenerator, Sendable {
  // Nil in all programs but simulations, so that drawing costs no call through a table.
  private let source: (@Sendable () -> UInt64)?

  /// The system's random numbers.
  package static let system = Self(nil)

  /// Random numbers of a source, or the system's if nil.
  package init(_ source: (@Sendable () -> UInt64)?) { self.source = source }

  package func next() -> UInt64 {
    if let source { return source() }
    var system = SystemRandomNumberGenerator()
    return system.next()
  }
}
