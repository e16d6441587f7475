/// An observer that is told when its instant has come.
protocol DeadlineObserver: AnyObject, Sendable {
  /// Whether it no longer needs to be told.
  var isOver: Bool { get }

  /// Notes that the time has come, or that the locker is being closed; must not block.
  func deadlinePassed()
}

extension Signal: DeadlineObserver {
  func deadlinePassed() { fire() }
}
