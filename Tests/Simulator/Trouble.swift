/// What can go wrong in a simulation, for counting; the raw values are the words of the summary.
///
/// If seeds stopped meeting a trouble, the checks would still find nothing, and the gap would not be noticed.
enum Trouble: String, CaseIterable {
  // On the way between a process and the server.
  case commandLate = "commands late"
  case replyLate = "replies late"
  case commandInPieces = "commands in pieces"
  case replyInPieces = "replies in pieces"
  case replyDoubled = "replies doubled"
  case writeCutShort = "writes cut short"
  case connectionRefused = "connections refused"
  /// Nothing arrives any more, and neither side is told.
  case commandSilenced = "commands lost in silence"
  case replySilenced = "replies lost in silence"
  /// The connection is reset, and the message does not arrive.
  case commandLost = "commands lost by a reset"
  case replyLost = "replies lost by a reset"
  /// The connection is reset within the message.
  case commandCut = "commands cut by a reset"
  case replyCut = "replies cut by a reset"
  /// The connection is reset behind the message.
  case commandThenReset = "resets behind a command"
  case replyThenReset = "resets behind a reply"
  /// The message arrives when its sender or its receiver already knows that the connection is broken.
  case commandAfterReset = "commands after a reset"
  case replyAfterReset = "replies after a reset"

  // On the server.
  case serverHungUp = "hang-ups of the server"
  case serverEmptied = "restarts without data"
  case serverSetBack = "restarts with old data"
  case counterLost = "counters lost"
  case keyFreed = "keys freed by force"
  case failover = "failovers"
  case serverDemoted = "servers demoted for a moment"
  case replicaAwaited = "waits for a replica"
  case replicaTooLate = "replicas too late"
  case serverClockForward = "server clocks set forward"
  case serverClockBack = "server clocks set back"
  case clockSetWhileHeld = "server clocks set while a lock is held"
  case clockSetWhileQueued = "server clocks set while a waiter queues"

  // In a process.
  case processStopped = "processes stopped"
  case processKilled = "processes killed"
  case stepLate = "steps of tasks late"
  case maxHoldReached = "locks held until their maxHold"
  case processClockForward = "process clocks jumped"
  case clockJumpedWhileHeld = "process clocks jumped while a lock is held"
  case clockJumpedWhileWaiting = "process clocks jumped while a call waits"
  case waitCancelled = "waiting calls cancelled"
  case lockerClosed = "lockers closed"
  case lockerClosedWhenReleased = "lockers closed when released"
  case closedWhileHeld = "lockers closed while a lock is held"
  case closedWhileWaiting = "lockers closed while a call waits"
}
