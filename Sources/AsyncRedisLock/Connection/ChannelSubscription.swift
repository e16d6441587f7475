/// A subscription to one channel, which is made again whenever it has ended.
protocol ChannelSubscription: AnyObject, Sendable {
  /// Subscribes, and stays subscribed; further calls do nothing.
  func open()

  /// Gives up a working subscription and makes another, because it is in the wrong place if it `isElsewhere`.
  func reconnect(because reason: String, isElsewhere: Bool)

  /// Asks for ``Subscriber/Event/probed``.
  func probe()

  /// Ends for good.
  func close()
}
