/// The other work of a process besides the measured one.
struct Crowd: Codable, Hashable {
  /// Locks that are held meanwhile.
  var held = 0
  /// Tasks that wait for a key that another locker holds.
  var waiters = 0
  /// Lockers that are connected and idle.
  var lockers = 0
  /// Pairs that the locker has done before.
  var formerPairs = 0
}
