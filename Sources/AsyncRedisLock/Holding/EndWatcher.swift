/// A party that is told when a lease ends.
protocol EndWatcher: AnyObject, Sendable {
  /// Notes that the lease has ended; must not block, since extensions wait for it.
  func fire()
}

extension Signal: EndWatcher {}
