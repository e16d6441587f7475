/// What a node of the store sends its requests on: the connection to one server, or the way to one slot of a cluster.
protocol Wire: AnyObject, Sendable {
  var clock: LockClock { get }

  /// How long an answer takes, averaged over the last replies; zero before the first.
  var roundTrip: Duration { get }

  /// How often a connection was given up because of the server's replies.
  var violationCount: Int { get }

  /// Whether a number that was drawn on `source` comes from where the next request will lead.
  ///
  /// Without a cluster there is one source, zero.
  var source: UInt64 { get }

  /// Sends a request after all that were submitted before.
  func submit(_ request: Request)

  /// Sends a request that the calling task waits for, and that is not the consequence of an answer.
  func submitFromTask(_ request: Request)

  /// Ends a request whose caller has given up, and undoes what it may have done.
  func abandon(_ request: Request)

  /// Gives up a connection because an answer made no sense.
  func distrust()

  /// Gives up a connection because it leads to the wrong server by now.
  func reconnect(because reason: String)

  /// Runs an action when some time has passed, not on the cooperative pool.
  func afterPause(_ pause: Duration, _ body: @escaping @Sendable () -> Void)

  /// Runs an action that gives back when some time has passed, or sooner if the connection is being closed.
  func giveBackLater(_ pause: Duration, _ body: @escaping @Sendable () -> Void)

  /// Notes that an attempt to give back has succeeded.
  func noteGivenBack()
}

extension Connection: Wire {
  var source: UInt64 { 0 }

  func submitFromTask(_ request: Request) { submit(request, servesItself: true) }
}
