/// What is told when an instant has come.
protocol DeadlineObserver: AnyObject, Sendable {
  /// Whether it needs not be told any more.
  var isOver: Bool { get }

  /// Notes that the time has come, or that the locker is being closed; must not block.
  func deadlinePassed()
}

extension Signal: DeadlineObserver {
  func deadlinePassed() { fire() }
}
