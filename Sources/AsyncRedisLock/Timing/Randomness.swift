/// The source of random numbers for pauses and tokens: the system, or a simulation's seed.
package struct Randomness: RandomNumberGenerator, Sendable {
  // Nil except in simulations, so that drawing costs no call through a table.
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
