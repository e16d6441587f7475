#if CommandLineTool
  import ArgumentParser
  import Testing

  @testable import RedisLockTool

  @Suite("The command redis-lock")
  struct RedisLockCommandTests {
    @Test("is called so")
    func name() {
      #expect(RedisLockCommand.configuration.commandName == "redis-lock")
    }
  }
#endif
