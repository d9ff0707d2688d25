// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

// What the escrow calls where a payer signs for the movement of his tokens. ERC-2612 and ERC-3009 with a signature in
// three parts come from OpenZeppelin.

/// @notice ERC-2612 with a signature in one piece, as a contract wallet needs it (ERC-7597).
interface IERC7597 {
    function permit(address owner, address spender, uint256 value, uint256 deadline, bytes calldata signature) external;
}

/// @notice ERC-3009 with a signature in one piece, as a contract wallet needs it (ERC-7598).
interface IERC7598 {
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes calldata signature
    ) external;
}

/// @notice Permit2's transfer by a signature that also covers a witness: a struct of the caller's.
interface IPermit2 {
    struct TokenPermissions {
        address token;
        uint256 amount;
    }

    struct PermitTransferFrom {
        TokenPermissions permitted;
        uint256 nonce;
        uint256 deadline;
    }

    struct SignatureTransferDetails {
        address to;
        uint256 requestedAmount;
    }

    function permitWitnessTransferFrom(
        PermitTransferFrom calldata permit,
        SignatureTransferDetails calldata transferDetails,
        address owner,
        bytes32 witness,
        string calldata witnessTypeString,
        bytes calldata signature
    ) external;
}
