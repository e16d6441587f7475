#if CommandLineTool
  import PrivateRedis
  import Testing

  extension ToolProcess {
    /// Starts a run that holds a lock until it is told to end, is recorded, and has printed its fencing token.
    static func hold(
      _ key: String, label: String = "nightly", on server: RedisServer
    ) async throws -> ToolProcess {
      let tool = try ToolProcess(
        ["run", key, "--label", label, "-c", "echo $REDIS_LOCK_FENCE; sleep 100"], on: server)
      await until("the lock is held") { tool.output.hasSuffix("\n") }
      let client = RedisClient(server)
      await until("it is recorded") {
        try client("EXISTS", "redis-lock:record:{\(key)}").integer == 1
      }
      return tool
    }
  }
#endif
