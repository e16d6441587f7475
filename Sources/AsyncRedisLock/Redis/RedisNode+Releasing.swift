internal import Synchronization

extension RedisNode {
  /// Sends a release along with other releases that wait to be sent.
  ///
  /// It may overtake requests submitted before it. An answer has confirmed its lock, and its token has not been in
  /// a queue, so no other request under way can take the key for it.
  func releaseInGroup(_ member: ReleaseGroup.Member) {
    let new: ReleaseGroup? = openGroup.withLock { group in
      if let group, group.add(member) { return nil }
      let new = ReleaseGroup(member, at: self)
      group = new
      return new
    }
    if let new { connection.submit(new.makeRequest(for: member)) }
  }

  /// Passes the outcome of a group on to its members.
  func conclude(_ group: ReleaseGroup, _ result: Result<Request.Answer, TransportError>) {
    openGroup.withLock { if $0 === group { $0 = nil } }
    let (members, isSent) = group.contents
    switch result {
    case .failure(let failure):
      for member in members {
        let (release, deadline) = (member.release, member.deadline)
        if failure != .closed, clock.now < deadline {
          submit(isSent ? release.repeated : release, by: deadline, completion: member.completion)
        } else {
          connection.submit(cleanUp(release.claim, until: release.keysLastUntil))
          member.completion(.failure(StoreFailure(failure)))
        }
      }
    case .success(let answer): conclude(members, answer)
    }
  }

  private func conclude(_ members: [ReleaseGroup.Member], _ answer: Request.Answer) {
    let reply = answer.replies[0]
    if let error = reply.error {
      let isRepetition = answer.isOfRepetition || error.leavesReleaseOpen
      for member in members {
        let release = isRepetition ? member.release.repeated : member.release
        submit(
          release, by: member.deadline, violations: connection.violationCount,
          completion: member.completion)
      }
      return
    }
    if members.count == 1 {
      let outcome = readRelease(.success(answer), of: members[0].release)
      if case .failure = outcome {
        distrust(members)
      } else {
        connection.noteGivenBack()
        queueAccess.noteUse(of: CollectionOfOne(members[0].release.claim.keys))
      }
      return members[0].completion(outcome)
    }
    guard let left = ReleaseGroup.left(reply, of: members.count) else {
      distrust(members)
      for member in members { member.completion(.failure(.unexpected(reply))) }
      return
    }
    connection.noteGivenBack()
    // The server may have refused to look at the queues of the others.
    let done = members.indices.lazy.filter { !left.contains($0) }
    queueAccess.noteUse(of: done.map { members[$0].release.claim.keys })
    // Not as an element, which would be copied.
    for place in members.indices {
      if left.contains(place) {
        let member = members[place]
        let release = answer.isOfRepetition ? member.release.repeated : member.release
        submit(release, by: member.deadline, completion: member.completion)
      } else {
        members[place].completion(
          .success(ReleaseReport(outcome: .released, isContended: false)))
      }
    }
  }

  /// Gives back again all locks that may not have been given back, and gives the connection up.
  private func distrust(_ members: [ReleaseGroup.Member]) {
    for member in members {
      connection.submit(cleanUp(member.release.claim, until: member.release.keysLastUntil))
    }
    connection.distrust()
  }
}
