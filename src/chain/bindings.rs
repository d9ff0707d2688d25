//! Bindings generated from the committed artifacts, so that building needs no Solidity compiler.

// Generated code is not held to the lints of ours.
#![allow(clippy::all, clippy::pedantic, missing_docs)]

alloy::sol!(
    #[sol(rpc)]
    #[derive(Debug)]
    PreauthEscrow,
    "contracts/artifacts/PreauthEscrow.json"
);

alloy::sol!(Rehearsal, "contracts/artifacts/Rehearsal.json");

alloy::sol!(
    #[sol(rpc)]
    DemoToken,
    "contracts/artifacts/DemoToken.json"
);

alloy::sol!(
    #[sol(rpc)]
    MoodyToken,
    "contracts/artifacts/MoodyToken.json"
);

alloy::sol! {
    /// What is asked of any token.
    #[sol(rpc)]
    interface Erc20 {
        function symbol() external view returns (string);
        function decimals() external view returns (uint8);
        function balanceOf(address account) external view returns (uint256);
        function allowance(address owner, address spender) external view returns (uint256);
        function approve(address spender, uint256 amount) external returns (bool);
        function transfer(address to, uint256 amount) external returns (bool);

        error ERC20InsufficientAllowance(address spender, uint256 allowance, uint256 needed);
        error ERC20InsufficientBalance(address sender, uint256 balance, uint256 needed);
    }

    /// What holders of a token may sign: ERC-5267 and ERC-2612 with their domain, and ERC-3009. The methods with
    /// `bytes signature` are how newer tokens take signatures of contract wallets.
    #[sol(rpc)]
    interface SignedToken {
        function name() external view returns (string);
        function version() external view returns (string);
        function eip712Domain() external view returns (
            bytes1 fields,
            string name,
            string version,
            uint256 chainId,
            address verifyingContract,
            bytes32 salt,
            uint256[] extensions
        );
        function DOMAIN_SEPARATOR() external view returns (bytes32);
        function nonces(address owner) external view returns (uint256);
        function permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
            external;
        function permit(address owner, address spender, uint256 value, uint256 deadline, bytes signature) external;
        function receiveWithAuthorization(
            address from,
            address to,
            uint256 value,
            uint256 validAfter,
            uint256 validBefore,
            bytes32 nonce,
            uint8 v,
            bytes32 r,
            bytes32 s
        ) external;
        function receiveWithAuthorization(
            address from,
            address to,
            uint256 value,
            uint256 validAfter,
            uint256 validBefore,
            bytes32 nonce,
            bytes signature
        ) external;
        function authorizationState(address authorizer, bytes32 nonce) external view returns (bool);
    }

    /// ERC-1271.
    #[sol(rpc)]
    interface ContractWallet {
        function isValidSignature(bytes32 hash, bytes signature) external view returns (bytes4);
    }

    /// How Permit2 refuses what it was to move by signature.
    interface Permit2 {
        error InvalidNonce();
        error InvalidSigner();
        error InvalidSignature();
        error InvalidSignatureLength();
        error InvalidContractSignature();
    }

    /// OpenZeppelin's Pausable.
    interface Pausable {
        error EnforcedPause();
    }
}
