// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";

import {Consent} from "./Consent.sol";
import {Gate} from "./Gate.sol";
import {RawCalls} from "./RawCalls.sol";

/// @title PreauthEscrow
/// @notice See IPreauthEscrow, which holds the words. The admin is the `owner` of Ownable2Step.
/// @dev Order inside a method: checks, effects, event, transfers. What moves tokens is `exclusive`.
contract PreauthEscrow is Consent, RawCalls, Ownable2Step, Gate, Pausable {
    using SafeERC20 for IERC20;

    uint40 private constant LONGEST_RECEIVER_DELAY = 365 days;

    // slither-disable-start naming-convention: constants have capitals, and so have their getters.
    uint40 public immutable MAX_HOLD;
    uint40 public immutable RECEIVER_DELAY;

    // slither-disable-end naming-convention

    /// @dev A struct only so that its slot is computed once and handed around.
    struct Record {
        bytes32 word;
    }

    mapping(bytes32 preauthId => Record) public preauths;
    mapping(address receiver => uint40) public receiverActiveFrom;
    mapping(address sender => mapping(address token => uint256)) public claimable;
    address public guardian;

    modifier onlyGuardian() {
        if (msg.sender != guardian && msg.sender != owner()) revert NotGuardian(msg.sender);
        _;
    }

    constructor(
        address admin,
        address guardian_,
        address[] memory operators,
        uint40 receiverDelay,
        uint40 maxHold,
        address permit2
    ) Ownable(admin) Consent(permit2) {
        if (maxHold == 0 || receiverDelay > LONGEST_RECEIVER_DELAY) revert InvalidSetting();
        MAX_HOLD = maxHold;
        RECEIVER_DELAY = receiverDelay;
        // slither-disable-next-line missing-zero-check: zero is no guardian, and that is allowed.
        guardian = guardian_;
        emit GuardianSet(guardian_);
        for (uint256 i = 0; i < operators.length; ++i) {
            _setOperator(operators[i], true);
        }
    }

    // -------------------------------------------------------------- operations

    function authorize(Terms calldata terms, bytes calldata consent) external {
        _authorize(terms, consent);
    }

    function settle(Terms calldata terms, uint96 amount) external {
        _settle(terms, amount);
    }

    function cancel(Terms calldata terms) external {
        _cancel(terms);
    }

    function expire(Terms calldata terms) external {
        _expire(terms);
    }

    function claim(address sender, address token) external exclusive {
        uint256 amount = claimable[sender][token];
        if (amount == 0) revert NothingToClaim(sender, token);

        delete claimable[sender][token];
        emit Claimed(sender, token, amount);

        IERC20(token).safeTransfer(sender, amount);
    }

    // ---------------------------------------------------------- administration

    /// @dev Registering again changes nothing, so it cannot switch off a receiver for another delay by mistake.
    function registerReceiver(address receiver) external onlyOwner {
        if (receiver == address(0)) revert InvalidParty(receiver);
        if (receiverActiveFrom[receiver] != 0) return;
        uint40 activeFrom = uint40(block.timestamp) + RECEIVER_DELAY;
        receiverActiveFrom[receiver] = activeFrom;
        emit ReceiverRegistered(receiver, activeFrom);
    }

    function removeReceiver(address receiver) external onlyOwner {
        delete receiverActiveFrom[receiver];
        emit ReceiverRemoved(receiver);
    }

    function setOperator(address operator, bool allowed) external onlyGuardian {
        if (allowed) _checkOwner();
        _setOperator(operator, allowed);
    }

    function setGuardian(address newGuardian) external onlyOwner {
        // slither-disable-next-line missing-zero-check: zero is no guardian, and that is allowed.
        guardian = newGuardian;
        emit GuardianSet(newGuardian);
    }

    function pause() external onlyGuardian {
        _pause();
    }

    function unpause() external onlyOwner {
        _unpause();
    }

    /// @dev Without an admin a pause could never end.
    function renounceOwnership() public pure override {
        revert InvalidSetting();
    }

    // -------------------------------------------------------------------- views

    function statusOf(bytes32 preauthId) external view returns (Status) {
        return _status(preauths[preauthId].word);
    }

    // -------------------------------------------------------- what operations do

    function _authorize(Terms memory terms, bytes calldata consent) internal override exclusive {
        (address lead, uint88 marks, bool isPaused) = (leadOperator, demandMarks, paused());
        if (msg.sender != lead) _checkOperator();
        // Before everything else that can fail: an authorization sent twice always learns that it was.
        Record storage record = preauths[terms.preauthId];
        if (record.word != 0) revert AlreadyUsed(terms.preauthId, _status(record.word));
        if (isPaused) revert EnforcedPause();
        _checkTerms(terms);
        if (consent.length == 0) {
            _checkNoDemand(terms.sender, marks);
            _checkRegistered(terms.receiver);
        }

        bytes32 termsHash = hashTerms(terms);
        record.word = termsHash;
        emit Authorized(terms.preauthId, terms.sender, terms.receiver, terms.token, terms.hold, terms.expiresAt);

        uint256 balanceBefore = _balance(terms.token);
        // The allowance of whom an operator names: he has not demanded signatures, and the receiver is registered.
        // slither-disable-next-line arbitrary-send-erc20
        if (consent.length == 0) IERC20(terms.token).safeTransferFrom(terms.sender, address(this), terms.hold);
        else _pullSigned(terms, termsHash, consent);
        uint256 balanceAfter = _balance(terms.token);
        unchecked {
            // A token that lowers the balance wraps around, which is as wrong as any other amount.
            uint256 received = balanceAfter - balanceBefore;
            if (received != terms.hold) revert InexactTransfer(terms.hold, received);
        }
    }

    function _settle(Terms memory terms, uint96 amount) internal override exclusive {
        _checkOperator();
        Record storage record = _openRecord(terms);
        // slither-disable-next-line timestamp: holds last minutes to days, a validator shifts the clock by seconds.
        if (block.timestamp >= terms.expiresAt) revert PreauthExpired(terms.preauthId, terms.expiresAt);
        if (amount == 0 || amount > terms.hold) revert InvalidAmount(amount);

        _close(record, Status.Settled);
        emit Settled(terms.preauthId, amount);

        IERC20(terms.token).safeTransfer(terms.receiver, amount);
        unchecked {
            _refund(terms, terms.hold - amount);
        }
    }

    function _cancel(Terms memory terms) internal override exclusive {
        // Terms that name the caller as receiver but were never locked are refused by the next check.
        if (msg.sender != terms.receiver) _checkOperator();
        Record storage record = _openRecord(terms);

        _close(record, Status.Cancelled);
        emit Cancelled(terms.preauthId);

        _refund(terms, terms.hold);
    }

    function _expire(Terms memory terms) internal override exclusive {
        Record storage record = _openRecord(terms);
        // slither-disable-next-line timestamp: as in _settle, and by the same clock: never both, never neither.
        if (block.timestamp < terms.expiresAt) revert NotExpired(terms.preauthId, terms.expiresAt);

        _close(record, Status.Expired);
        emit Expired(terms.preauthId);

        _refund(terms, terms.hold);
    }

    function _refund(Terms memory terms, uint96 amount) private {
        if (amount == 0 || _tryTransfer(terms.token, terms.sender, amount)) return;
        claimable[terms.sender][terms.token] += amount;
        emit RefundDeferred(terms.preauthId, terms.sender, terms.token, amount);
    }

    // ------------------------------------------------------------------- checks

    function _checkTerms(Terms memory terms) private view {
        if (terms.hold == 0) revert InvalidAmount(terms.hold);
        unchecked {
            // What is not after now wraps around, beyond any longest hold.
            // slither-disable-next-line timestamp: seconds do not matter here.
            if (terms.expiresAt - block.timestamp - 1 >= MAX_HOLD) revert InvalidExpiry(terms.expiresAt);
        }
        _checkParty(terms.sender, terms.token);
        _checkParty(terms.receiver, terms.token);
        if (terms.receiver == terms.sender) revert InvalidParty(terms.receiver);
    }

    /// @dev One by one: an `||` costs a jump there and back.
    function _checkParty(address party, address token) private view {
        if (party == address(0)) revert InvalidParty(party);
        if (party == address(this)) revert InvalidParty(party);
        if (party == token) revert InvalidParty(party);
    }

    function _checkRegistered(address receiver) private view {
        uint256 activeFrom = receiverActiveFrom[receiver];
        unchecked {
            // Zero, not registered, wraps around, beyond any time.
            // slither-disable-next-line timestamp: seconds do not matter to a delay of hours.
            if (activeFrom - 1 >= block.timestamp) revert ReceiverNotRegistered(receiver);
        }
    }

    function _openRecord(Terms memory terms) private view returns (Record storage record) {
        record = preauths[terms.preauthId];
        if (record.word != hashTerms(terms)) {
            Status status = _status(record.word);
            if (status == Status.Open) revert TermsMismatch(terms.preauthId);
            revert NotOpen(terms.preauthId, status);
        }
    }

    // ------------------------------------------------------------------ effects

    /// @dev An open preauth stores the hash of its terms, a closed one its status: no hash is that small.
    function _status(bytes32 word) private pure returns (Status) {
        if (word == 0) return Status.None;
        return uint256(word) <= uint256(type(Status).max) ? Status(uint256(word)) : Status.Open;
    }

    function _close(Record storage record, Status status) private {
        record.word = bytes32(uint256(status));
    }
}
