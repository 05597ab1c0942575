// rules.mjs: the rules of the driver, each with the smallest change that breaks it, and the test that must turn red.
//
// An edit replaces text that occurs exactly once in the file: a table that no longer fits the source fails by name.
// Races are made certain: where breaking a rule opens a window of nanoseconds, the change also holds the window open.

/**
 * @typedef {object} Rule
 * @property {string} rule what holds
 * @property {string} file where
 * @property {[search: string, replacement: string, file?: string][]} edits how it is broken; in another file, if it says so
 * @property {string} test the test case that must fail then
 */

const irp = 'driver/core/irp_capture.cpp'
const hooks = 'driver/core/hook_table.cpp'
const recorder = 'driver/core/recorder.cpp'
const control = 'driver/core/control.cpp'
const payload = 'driver/core/payload.cpp'
const table = 'driver/core/request_table.cpp'
const fastIo = 'driver/core/fast_io.cpp'

const moreProcessing = 'a routine that stops the completion, and a driver that completes again'
const wrongLengths = 'controls with wrong lengths, values or at the wrong time are refused'
const unwanted = 'a routine that is not wanted for this outcome is not called'
const freedInItsRoutine = 'a request that a driver made itself, freed in its routine'
const quotaHolds = 'beyond its quota a driver has arrivals without ends, counted, and no request fails'
const noOutput = 'an error has no output, and neither has STATUS_VERIFY_REQUIRED, whatever Information says'
const lossesAreTold =
  'a dropped record takes a number, and the losses are told: before the next record, or at the end'
const neverComes = 'a call whose IRP never comes is continued by nothing else'
const tooSmall = 'a ring that is far too small: what is not there has been counted'

/** @type {Rule[]} */
export const rules = [
  // ---- Completion ----
  {
    rule: "our invoke flags are OR'ed into the location's control, never assigned",
    file: irp,
    edits: [['stack->Control |= kInvokeFlags;', 'stack->Control = kInvokeFlags;']],
    test: 'the hook adds its bits to a location, and leaves the others alone',
  },
  {
    rule: "the caller's routine is called",
    file: irp,
    edits: [['wanted && callers.routine != nullptr', 'wanted && callers.routine == nullptr']],
    test: moreProcessing,
  },
  {
    rule: "the caller's routine gets its own context",
    file: irp,
    edits: [['callers.routine(device, irp, callers.context)', 'callers.routine(device, irp, nullptr)']],
    test: moreProcessing,
  },
  {
    rule: "the caller's routine is called only for the outcomes it asked for",
    file: irp,
    edits: [['if (wanted && callers.routine', 'if (callers.routine']],
    test: unwanted,
  },
  {
    rule: "the caller's routine is called last: the IRP may be gone then",
    file: irp,
    edits: [
      [
        'Complete(capture, *context, handle, (ticket & kReturned) != 0, irp);\n    }\n    return Continue(callers, device, irp);',
        'NTSTATUS early = Continue(callers, device, irp);\n        Complete(capture, *context, handle, (ticket & kReturned) != 0, irp);\n        return early;\n    }\n    return Continue(callers, device, irp);',
      ],
    ],
    test: freedInItsRoutine,
  },
  {
    rule: "STATUS_MORE_PROCESSING_REQUIRED of the caller's routine is returned",
    file: irp,
    edits: [
      [
        'return callers.routine(device, irp, callers.context);',
        '{\n        callers.routine(device, irp, callers.context);\n        return STATUS_CONTINUE_COMPLETION;\n    }',
      ],
    ],
    test: moreProcessing,
  },
  {
    rule: 'pending is propagated, where no routine does it',
    file: irp,
    edits: [
      ['if (irp->PendingReturned && irp->CurrentLocation <= irp->StackCount) IoMarkIrpPending(irp);', ''],
    ],
    test: 'copy to the lower driver without a routine: pending goes up through the hook',
  },
  {
    rule: 'pending is propagated to the topmost driver, too (<=, not <)',
    file: irp,
    edits: [
      [
        'irp->PendingReturned && irp->CurrentLocation <= irp->StackCount',
        'irp->PendingReturned && irp->CurrentLocation < irp->StackCount',
      ],
    ],
    test: 'copy to the lower driver without a routine: pending goes up through the hook',
  },
  {
    rule: 'pending is not propagated past the last location',
    file: irp,
    edits: [['irp->PendingReturned && irp->CurrentLocation <= irp->StackCount', 'irp->PendingReturned']],
    test: 'a request that pends is completed from a DPC',
  },
  {
    rule: 'a handle of an earlier generation is stale',
    file: irp,
    edits: [
      [
        'if ((ticket & ~kTicketFlags) != handle || (ticket & kDeferred) != 0) return Continue(none, device, irp);',
        'if ((ticket & kDeferred) != 0) return Continue(none, device, irp);',
      ],
    ],
    test: 'a stale handle calls nobody: its context serves another request by now',
  },
  {
    rule: 'a location that is not the hooked one consumes nothing',
    file: irp,
    edits: [
      [
        'context->irp.LoadAcquire() == irp && context->location + 1 == irp->CurrentLocation',
        'context->irp.LoadAcquire() == irp',
      ],
    ],
    test: 'a copied routine fires once for each copy, hook or no hook',
  },
  {
    rule: "a context that holds a caller's routine is never reclaimed",
    file: irp,
    edits: [['bool keep = context.HasRoutine();', 'bool keep = false;']],
    test: "a context that holds a caller's routine is never given back: a copy of it may yet have to call it",
  },
  {
    rule: 'a return without a completion is unseen at once',
    file: irp,
    edits: [
      [
        'static_cast<uint32_t>(status), kRequestUnseen, 0, NowTicks()',
        'static_cast<uint32_t>(status), 0, 0, NowTicks()',
      ],
    ],
    test: 'skip, then set a routine: the upper hook loses sight, and says so',
  },
  {
    rule: 'requests in flight are bounded by a quota for each driver',
    file: table,
    edits: [['watch->Outstanding() >= quota_', 'watch->Outstanding() >= ~0ull']],
    test: quotaHolds,
  },
  {
    rule: 'a context is given back',
    file: irp,
    edits: [
      [
        'capture.RecordEnd(section, context, ending, payload);\n    capture.requests.Give(section.shard(), &context);\n}\n\n// <=',
        'capture.RecordEnd(section, context, ending, payload);\n}\n\n// <=',
      ],
    ],
    test: quotaHolds,
  },

  // ---- Payload ----
  {
    rule: 'an error has no output',
    file: irp,
    edits: [['return !NT_ERROR(status) && status', 'return status']],
    test: noOutput,
  },
  {
    rule: 'STATUS_VERIFY_REQUIRED has no output',
    file: irp,
    edits: [['!NT_ERROR(status) && status != STATUS_VERIFY_REQUIRED', '!NT_ERROR(status)']],
    test: noOutput,
  },
  {
    rule: 'Information is not believed beyond the requested length',
    file: irp,
    edits: [
      [
        'return information < context.outputLength ? static_cast<uint32_t>(information) : context.outputLength;',
        'return (void)context, static_cast<uint32_t>(information);',
      ],
    ],
    test: 'an Information beyond the buffer is recorded, and not believed',
  },
  {
    rule: 'the system buffer is read only if it is the one of arrival',
    file: irp,
    edits: [
      [
        'context.output == nullptr || irp->AssociatedIrp.SystemBuffer != context.output',
        'context.output == nullptr',
      ],
    ],
    test: 'a system buffer that the driver has exchanged is not read',
  },
  {
    rule: 'the MDL is read only if it is the one of arrival',
    file: irp,
    edits: [
      ['context.output == nullptr || irp->MdlAddress != context.output', 'context.output == nullptr'],
      [
        'payload->AddMdl(irp->MdlAddress, bytes);',
        'payload->AddMdl(static_cast<MDL*>(context.output), bytes);',
      ],
    ],
    test: 'an MDL that the driver has exchanged is not read',
  },
  {
    rule: 'the system buffer of an associated request is not touched',
    file: irp,
    edits: [
      [
        '(irp->Flags & IRP_ASSOCIATED_IRP) != 0 ? nullptr : irp->AssociatedIrp.SystemBuffer',
        'irp->AssociatedIrp.SystemBuffer',
      ],
    ],
    test: "the system buffer of an associated request is its master's business",
  },
  {
    rule: 'user memory is read under a handler only',
    file: payload,
    edits: [
      [
        'if (!DrivermonGuardedCopy(scratch, address, kept)) {',
        'RtlCopyMemory(scratch, address, kept);\n    if (false) {',
      ],
    ],
    test: 'the bytes of every transfer method',
  },
  {
    rule: 'METHOD_NEITHER input is the Type3InputBuffer',
    file: irp,
    edits: [['case METHOD_NEITHER:', 'case METHOD_NEITHER + 4:']],
    test: 'the bytes of every transfer method',
  },
  {
    rule: "an internal device control's parameters are not lengths",
    file: irp,
    edits: [
      [
        'bool IsControl(uint8_t major, uint8_t minor) {\n',
        'bool IsControl(uint8_t major, uint8_t minor) {\n    if (major == IRP_MJ_INTERNAL_DEVICE_CONTROL) return true;\n',
      ],
    ],
    test: 'the parameters of an internal device control are not lengths',
  },
  {
    rule: 'payload is cut at the snap length',
    file: payload,
    edits: [['return bytes < left ? bytes : left;', 'return (void)left, bytes;']],
    test: 'payload is cut at the snap length, and says how much there was',
  },
  {
    rule: 'scratch is given back',
    file: 'driver/core/payload.h',
    edits: [['if (block_ != nullptr) pool_.Give(block_);', '']],
    test: 'scratch memory is given back: no request in a long row goes without its bytes',
  },

  // ---- Hooking ----
  {
    rule: 'the original is there before the thunk is published',
    file: hooks,
    edits: [
      [
        '            slot.original[major].StoreRelease(current);\n            if (Exchange',
        '            if (Exchange',
      ],
      [
        '                slot.ours |= 1u << major;\n                break;',
        "                for (volatile int wait = 0; wait < 20'000'000; wait = wait + 1) {\n                }\n                slot.original[major].StoreRelease(current);\n                slot.ours |= 1u << major;\n                break;",
      ],
    ],
    test: 'hooks come and go under load',
  },
  {
    rule: 'an entry is put back by compare-exchange',
    file: hooks,
    edits: [
      [
        'if (Exchange(place, original, ours.major[major]) || Current(place) == original)',
        '*place = original;\n        (void)ours;\n        if (Current(place) == original)',
      ],
    ],
    test: 'another hook on top of ours stays, and so do we below it, passing through',
  },
  {
    rule: "a hook that is in somebody's chain is not put on top again",
    file: hooks,
    edits: [
      ['if ((slot.ours & 1u << major) != 0 && current != slot.original[major].LoadRelaxed()) break;', ''],
    ],
    test: 'another hook on top of ours stays, and so do we below it, passing through',
  },
  {
    rule: 'a hook that was removed records nothing',
    file: hooks,
    edits: [
      [
        '        slot.watch.StoreRelease(nullptr);\n        capture_->recorder.DrainSections();\n        RecordUnhooked(*watch, reason);',
        '        RecordUnhooked(*watch, reason);',
      ],
    ],
    test: 'another hook on top of ours stays, and so do we below it, passing through',
  },
  {
    rule: 'the fast-I/O table is replaced, not written',
    file: hooks,
    edits: [
      [
        'slot->fastIoThunks = copy;',
        'slot->fastIoThunks = copy;\n                *slot->driversFastIo = copy;',
      ],
    ],
    test: 'a fast-I/O table is never written: it may lie in read-only memory',
  },
  {
    rule: 'the first hook takes our own unload routine away',
    file: hooks,
    edits: [['    residence_->Settle();\n', '']],
    test: "the first hook takes our own unload routine away, and an absent one of the driver's is left absent",
  },
  {
    rule: 'an absent unload routine is left absent',
    file: hooks,
    edits: [['if (unload != nullptr && unload != ours.unload)', 'if (unload != ours.unload)']],
    test: "the first hook takes our own unload routine away, and an absent one of the driver's is left absent",
  },
  {
    rule: 'the unload thunk lets the driver go',
    file: hooks,
    edits: [['    if (referenced) ObDereferenceObject(driver);', '']],
    test: 'a hooked driver that unloads takes its hook along',
  },
  {
    rule: 'our own driver is not hooked',
    file: hooks,
    edits: [['if (driver == self_)', 'if (driver == nullptr)']],
    test: wrongLengths,
  },
  {
    rule: 'a driver is hooked once',
    file: hooks,
    edits: [['} else if (slot->watch.LoadRelaxed() != nullptr) {', '} else if (slot == nullptr) {']],
    test: wrongLengths,
  },
  {
    rule: 'a slot rests before it serves another driver',
    file: hooks,
    edits: [['now - oldest->freedTicks >= rest', 'now - oldest->freedTicks + rest >= rest']],
    test: 'every slot can be in use; one driver more is refused, and a slot that was freed rests first',
  },

  // ---- Truth ----
  {
    rule: 'a record that finds no room is counted',
    file: recorder,
    edits: [['ring.Rewind(mark);\n        shard.CountLoss(what, kLossRingFull);', 'ring.Rewind(mark);']],
    test: tooSmall,
  },
  {
    rule: 'a record that is too large is counted',
    file: recorder,
    edits: [['        shard.CountLoss(what, kLossRecordTooLarge);\n', '']],
    test: 'a record that no ring could hold is counted, and stalls nothing',
  },
  {
    rule: 'a dropped record takes a sequence number',
    file: recorder,
    edits: [
      ['record->sequence = shard.sequence++;', 'record->sequence = shard.sequence;'],
      [
        '    ring.Publish();\n    shard.totals.written',
        '    ring.Publish();\n    shard.sequence++;\n    shard.totals.written',
      ],
    ],
    test: lossesAreTold,
  },
  {
    rule: 'losses that wait for a next record are told at the end',
    file: recorder,
    edits: [['if (quiet) WriteWaitingLoss(shards_[i]);', '']],
    test: lossesAreTold,
  },
  {
    rule: 'counters do not depend on room in the ring',
    file: 'driver/core/capture.cpp',
    edits: [
      [
        'cell.CountOutcome(ending.status, latency);',
        'if (shard.ring.Used() + 512 < shard.ring.size()) cell.CountOutcome(ending.status, latency);',
      ],
    ],
    test: tooSmall,
  },
  {
    rule: 'an end belongs to the epoch of its start',
    file: 'driver/core/capture.cpp',
    edits: [['if (!recording() || context.epoch.LoadAcquire() != epoch()) {', 'if (!recording()) {']],
    test: 'a request of an earlier capture ends in none',
  },
  {
    rule: 'a fast-I/O call that fell through says so',
    file: fastIo,
    edits: [['ending.flags |= kRequestFellThrough;', '']],
    test: 'fast I/O: handled calls are requests, fallen-through ones are not',
  },
  {
    rule: 'an IRP continues a call only where the I/O manager has just sent it: at the top of its stack',
    file: irp,
    edits: [['irp->CurrentLocation == irp->StackCount && arrival.minor', 'arrival.minor']],
    test: 'beneath a filter nobody knows whether an IRP continues a call',
  },
  {
    rule: 'an IRP continues a call only if it was made for that file',
    file: irp,
    edits: [['irp->Tail.Overlay.OriginalFileObject == file;', 'file != nullptr;']],
    test: neverComes,
  },
  {
    rule: "an IRP continues a call only of its own requestor's thread",
    file: irp,
    edits: [['|| thread == nullptr || IdOf(PsGetThreadId(thread)) != start->threadId', '']],
    test: neverComes,
  },
  {
    rule: 'an IRP continues only a call that is just like it',
    file: 'driver/core/fall_throughs.h',
    edits: [['entry.call == irp ? entry.requestId : 0', 'entry.requestId']],
    test: neverComes,
  },
  {
    rule: 'a call that is handled ends what fell through inside it',
    file: fastIo,
    edits: [['        capture->fallThroughs.Forget(thread);\n', '']],
    test: neverComes,
  },
  {
    rule: 'a call has fallen through when its routine has returned, not before',
    file: fastIo,
    edits: [
      ['capture->fallThroughs.Forget(start.threadId);', ''],
      [
        '        context->ticket.StoreRelease(handle);\n    }\n    return handle;',
        '        context->ticket.StoreRelease(handle);\n        CallIdentity identity;\n        if (Identify(call, *context, &identity)) capture->fallThroughs.Note(start.threadId, start.requestId, identity);\n    }\n    return handle;',
      ],
    ],
    test: 'an IRP sent inside a routine does not continue the call that is still running',
  },
  {
    rule: 'a call that was kept out and fell through is counted apart',
    file: 'driver/core/capture.cpp',
    edits: [['if (fellThrough) shard.totals.filteredFellThrough.AddByOwner(1);', '']],
    test: 'the call that an IRP continues may be kept out of the records, and is counted as what it was',
  },
  {
    rule: 'what cannot be read by rule is told as such, and no loss',
    file: irp,
    edits: [
      [
        'case OutputKind::kBeyondReach:\n            payload->BeyondReach(bytes);',
        'case OutputKind::kBeyondReach:\n            payload->Miss(bytes, kLossPayloadFault);',
      ],
    ],
    test: "METHOD_NEITHER beyond its caller's reach: no bytes, by rule, and no loss",
  },
  {
    rule: 'nothing younger than the look at the rings overtakes',
    file: recorder,
    edits: [['if (quiet) watermark = ~0ull;', 'watermark = ~0ull;']],
    test: 'a record younger than the look at the rings waits for the next look, unless it is the oldest',
  },
  {
    rule: 'records of several processors are merged by time',
    file: recorder,
    edits: [['if (count > 1 && cursors_[1].timestamp < limit) limit = cursors_[1].timestamp;', '']],
    test: 'records of several processors come in the order of their time',
  },
  {
    rule: 'the bytes that round a record up are zero',
    file: recorder,
    edits: [['while (to < at + size) *to++ = 0;', '']],
    test: 'the bytes that round a record up are zero, whatever lay in the ring before',
  },
  {
    rule: "a ring's padding is not delivered",
    file: recorder,
    edits: [['if (header->type != kRecordPadding) {', 'if (header->size != 0) {']],
    test: 'padding at the end of a ring stays there',
  },
  {
    rule: 'Stop waits for every section',
    file: 'driver/core/capture.cpp',
    edits: [['    recorder.DrainSections();\n', '']],
    test: 'closing a capture waits for whoever is still in a section',
  },

  // ---- Control ----
  {
    rule: 'the device has one owner',
    file: control,
    edits: [['} else if (owner_ != nullptr) {', '} else if (file == owner_) {']],
    test: 'the driver has one owner',
  },
  {
    rule: 'every call but Hello needs a Hello',
    file: control,
    edits: [['if ((entry->states & state_) == 0) return STATUS_INVALID_DEVICE_STATE;', '']],
    test: 'another version is told who it speaks to, and gets nothing else',
  },
  {
    rule: 'another layout is refused',
    file: control,
    edits: [
      [
        'request.abiVersion == kAbiVersion && request.layoutHash == kLayoutHash',
        'request.layoutHash == kLayoutHash',
      ],
    ],
    test: 'another version is told who it speaks to, and gets nothing else',
  },
  {
    rule: 'input shorter than its struct is refused',
    file: control,
    edits: [['if (call.inputBytes < entry->minInput) return STATUS_INFO_LENGTH_MISMATCH;', '']],
    test: 'a call whose input lacks its last byte is refused for that, though its bytes are right',
  },
  {
    rule: 'output shorter than its struct is refused',
    file: control,
    edits: [['if (call.outputBytes < entry->minOutput) return STATUS_BUFFER_TOO_SMALL;', '']],
    test: wrongLengths,
  },
  {
    rule: 'a name is not longer than its buffer',
    file: control,
    edits: [
      [
        '        request.nameLength > call.inputBytes - sizeof(request)) {',
        '        request.nameLength == ~0u) {',
      ],
    ],
    test: wrongLengths,
  },
  {
    rule: 'one GetData at a time',
    file: control,
    edits: [
      [
        'if (delivery_->waiting()) return STATUS_DEVICE_BUSY;',
        'if (delivery_->waiting()) return STATUS_SUCCESS;',
      ],
    ],
    test: 'one GetData at a time; a cancel loses nothing',
  },
  {
    rule: 'a client that dies is unhooked',
    file: control,
    edits: [['hooks_->RemoveAll(kUnhookClientClosed);', '']],
    test: 'the client dies: everything is unhooked, and the next one finds a clean driver',
  },
  {
    rule: 'a waiting GetData is armed, so that a record wakes it',
    file: 'driver/core/delivery.cpp',
    edits: [['recorder_->doorbell().Arm();', '']],
    test: 'a waiting GetData is woken by a record, without any other call',
  },
]
